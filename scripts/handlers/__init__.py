"""Ignite handlers: checkpoints, reports, guards, progress."""

from scripts.handlers.checkpoints import CheckpointHandler as CheckpointHandler
from scripts.handlers.early_stop import EarlyStop as EarlyStop
from scripts.handlers.progress import ProgressHandler as ProgressHandler
from scripts.handlers.rejections import RejectionHandler as RejectionHandler
