"""The Python that the bundles' JSON configs name: `scripts.networks`, `scripts.losses`, `scripts.engines` and so on.

Rooms are imported when they are first asked for, so that a command that moves JSON does not wait for PyTorch and a config needs
`$import scripts` alone.
"""

import lazy_loader

__version__ = "0.1.0"

_ROOMS = ["cases", "datalists", "engines", "figures", "files", "handlers", "inferers", "kinds", "loading", "losses", "metrics"]
_ROOMS += ["networks", "predictions", "preparation", "readers", "reports", "tracking", "transforms", "weights"]
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submodules=_ROOMS)
