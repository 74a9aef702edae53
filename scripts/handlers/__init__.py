"""Ignite handlers: tracking, checkpoints, figures, guards."""

from scripts.handlers.checkpoints import CheckpointHandler as CheckpointHandler
from scripts.handlers.classification_report import ClassificationReport as ClassificationReport
from scripts.handlers.early_stop import EarlyStop as EarlyStop
from scripts.handlers.exam_embeddings import ExamEmbeddingFile as ExamEmbeddingFile
from scripts.handlers.exam_overlays import ExamOverlays as ExamOverlays
from scripts.handlers.exam_report import ExamReport as ExamReport
from scripts.handlers.localization_report import LocalizationReport as LocalizationReport
from scripts.handlers.progress import ProgressHandler as ProgressHandler
from scripts.handlers.published_report import PublishedAFLocReport as PublishedAFLocReport
from scripts.handlers.rejections import RejectionHandler as RejectionHandler
from scripts.handlers.screening_report import ScreeningReport as ScreeningReport
from scripts.handlers.tracking import MLflowTracker as MLflowTracker
from scripts.handlers.training_maps import TrainingHeatMaps as TrainingHeatMaps
from scripts.handlers.volume_overlays import VolumeOverlays as VolumeOverlays
