"""Datalists, predictions, report text, tokenizers, data sets and splits."""

from scripts.data.anatomy_batches import AnatomyCollate as AnatomyCollate
from scripts.data.anatomy_batches import AnatomyTokenizer as AnatomyTokenizer
from scripts.data.anatomy_batches import VolumeCollate as VolumeCollate
from scripts.data.anatomy_prompts import asked_of as asked_of
from scripts.data.anatomy_prompts import read_anatomy_prompts as read_anatomy_prompts
from scripts.data.anatomy_table import AnatomyTable as AnatomyTable
from scripts.data.anatomy_table import read_label_table as read_label_table
from scripts.data.captions import Captiond as Captiond
from scripts.data.captions import FilmCollate as FilmCollate
from scripts.data.captions import VisionLanguageCollate as VisionLanguageCollate
from scripts.data.datalist import load_datalist as load_datalist
from scripts.data.dataset import CaseDataset as CaseDataset
from scripts.data.dataset import EpochSampler as EpochSampler
from scripts.data.files import sha256_of as sha256_of
from scripts.data.films import film_records as film_records
from scripts.data.predictions import PredictionWriter as PredictionWriter
from scripts.data.queries import phrase_pool as phrase_pool
from scripts.data.queries import read_prompts as read_prompts
from scripts.data.rejected import RejectionLog as RejectionLog
from scripts.data.text_models import text_model_of as text_model_of
from scripts.data.tokenizers import ReportTokenizer as ReportTokenizer
from scripts.data.volumes import volume_records as volume_records
