"""MLflow: recorder, spool, sender, models, registry, reproduction.

Imported when first asked for: an address or a comparison does not need PyTorch.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:  # for readers of the code, editors and the exporter, which follows imports
    from scripts.tracking.recorder import MLflowTracker as MLflowTracker

_ROOMS = ["address", "compare", "registered", "reproduce"]
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submodules=_ROOMS, submod_attrs={"recorder": ["MLflowTracker"]})
