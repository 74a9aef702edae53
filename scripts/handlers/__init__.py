"""Ignite handlers: tracking, checkpoints, figures, guards."""

from scripts.handlers.checkpoints import CheckpointHandler as CheckpointHandler
from scripts.handlers.classification_report import ClassificationReport as ClassificationReport
from scripts.handlers.localization_report import LocalizationReport as LocalizationReport
from scripts.handlers.progress import ProgressHandler as ProgressHandler
from scripts.handlers.published_report import PublishedAFLocReport as PublishedAFLocReport
from scripts.handlers.rejections import RejectionHandler as RejectionHandler
from scripts.handlers.tracking import MLflowTracker as MLflowTracker
