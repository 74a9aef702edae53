"""Data sets, one module each: read the folder as its owner distributes it, return records by split.

Every `build(source_dir, ...)` returns {"training": [...], "validation": [...], "test": [...]} with the datalist's keys
and absolute paths, looks at most at the headers of images, and raises one `SourceError` with every fault of the folder. `DOMAIN`
says what its cases are. A module with both is a source; nothing else has to know it. Sources of a hospital's own cases take
`domain` as an option.
"""

import importlib
import pkgutil
from collections.abc import Callable

Build = Callable[..., dict[str, list[dict]]]

_MODULES = {info.name: importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)}
SOURCES: dict[str, Build] = {name.replace("_", "-"): module.build for name, module in _MODULES.items() if hasattr(module, "build")}
"""Sources by the name that `python -m scripts datalist SOURCE` takes."""
DOMAINS_OF: dict[str, str] = {name: _MODULES[name.replace("-", "_")].DOMAIN for name in SOURCES}
"""Domain of each source's cases, where its options name no other."""
