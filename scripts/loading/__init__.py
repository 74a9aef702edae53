"""Data set, samplers and collates."""

from scripts.loading.anatomy_batches import AnatomyCollate as AnatomyCollate
from scripts.loading.dataset import CaseDataset as CaseDataset
from scripts.loading.dataset import Cases as Cases
from scripts.loading.dataset import EpochSampler as EpochSampler
from scripts.loading.dataset import records_with as records_with
from scripts.loading.dataset import repeated as repeated
from scripts.loading.exam_batches import ExamCollate as ExamCollate
from scripts.loading.exam_batches import ExamSentencesd as ExamSentencesd
from scripts.loading.image_batches import FilmCollate as FilmCollate
from scripts.loading.image_batches import VisionLanguageCollate as VisionLanguageCollate
from scripts.loading.loaders import CaseLoader as CaseLoader
from scripts.loading.loaders import EpochLoader as EpochLoader
from scripts.loading.screening import ScreeningCollate as ScreeningCollate
from scripts.loading.screening import screening_records as screening_records
from scripts.loading.screening import screening_task as screening_task
