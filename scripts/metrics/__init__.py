"""Localization, classification, retrieval and bootstrap intervals."""

from scripts.metrics.anatomy_geometry import AnatomyGeometry as AnatomyGeometry
from scripts.metrics.embedding_geometry import Alignment as Alignment
from scripts.metrics.embedding_geometry import Uniformity as Uniformity
from scripts.metrics.retrieval import RetrievalRecall as RetrievalRecall
from scripts.metrics.screening_auc import ScreeningAUC as ScreeningAUC
from scripts.metrics.zero_shot_auc import ZeroShotAUC as ZeroShotAUC
