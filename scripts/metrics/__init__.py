"""Localization, classification, retrieval and bootstrap intervals.

Imported when first asked for: intervals of a table do not need PyTorch.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:  # for readers of the code, editors and the exporter, which follows imports
    from scripts.metrics.anatomy_geometry import AnatomyGeometry as AnatomyGeometry
    from scripts.metrics.embedding_geometry import Alignment as Alignment
    from scripts.metrics.embedding_geometry import Uniformity as Uniformity
    from scripts.metrics.retrieval import RetrievalRecall as RetrievalRecall
    from scripts.metrics.screening_auc import ScreeningAUC as ScreeningAUC
    from scripts.metrics.zero_shot_auc import ZeroShotAUC as ZeroShotAUC

_CLASSES = {
    "anatomy_geometry": ["AnatomyGeometry"],
    "embedding_geometry": ["Alignment", "Uniformity"],
    "retrieval": ["RetrievalRecall"],
    "screening_auc": ["ScreeningAUC"],
    "zero_shot_auc": ["ZeroShotAUC"],
}
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submod_attrs=_CLASSES)
