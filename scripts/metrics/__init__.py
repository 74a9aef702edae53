"""Localization, classification, retrieval and bootstrap intervals."""

from scripts.metrics.retrieval import RetrievalRecall as RetrievalRecall
from scripts.metrics.screening_auc import ScreeningAUC as ScreeningAUC
