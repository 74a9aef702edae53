"""Localization, classification, retrieval and bootstrap intervals."""

from scripts.metrics.embedding_geometry import Alignment as Alignment
from scripts.metrics.embedding_geometry import Uniformity as Uniformity
from scripts.metrics.retrieval import RetrievalRecall as RetrievalRecall
from scripts.metrics.screening_auc import ScreeningAUC as ScreeningAUC
