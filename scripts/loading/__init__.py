"""Data set, samplers and collates."""

from scripts.loading.dataset import CaseDataset as CaseDataset
from scripts.loading.dataset import EpochSampler as EpochSampler
from scripts.loading.dataset import PassThroughCollate as PassThroughCollate
from scripts.loading.exam_batches import ExamCollate as ExamCollate
from scripts.loading.exam_batches import ExamSentencesd as ExamSentencesd
from scripts.loading.exam_classes import ExamClassCollate as ExamClassCollate
from scripts.loading.exam_classes import exam_class_records as exam_class_records
from scripts.loading.exam_classes import screening_task as screening_task
from scripts.loading.image_batches import ImageCollate as ImageCollate
from scripts.loading.image_batches import ImageRecordCollate as ImageRecordCollate
from scripts.loading.volume_batches import VolumeCollate as VolumeCollate
