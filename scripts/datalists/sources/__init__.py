"""Data sets, one module each: read the folder as its owner distributes it, return records by split.

Every `build(source_dir, ...)` returns {"training": [...], "validation": [...], "test": [...]} with the datalist's keys
and absolute paths, looks at most at the headers of images, and raises one `SourceError` with every fault of the folder.
"""

from collections.abc import Callable

from scripts.datalists.sources import (
    case_notes,
    chexlocalize,
    covid_rural,
    ct_folder,
    ct_rate,
    endoscopy,
    mimic_cxr,
    ms_cxr,
    nih_chestxray14,
    openi,
    rad_chestct,
    rsna_pneumonia,
)

Build = Callable[..., dict[str, list[dict]]]
SOURCES_OF: dict[str, dict[str, Build]] = {
    "cxr": {
        "mimic-cxr": mimic_cxr.build,
        "ms-cxr": ms_cxr.build,
        "rsna-pneumonia": rsna_pneumonia.build,
        "chexlocalize": chexlocalize.build,
        "nih-chestxray14": nih_chestxray14.build,
        "covid-rural": covid_rural.build,
        "openi": openi.build,
        "case-notes": case_notes.build,
    },
    "ct": {"ct-rate": ct_rate.build, "rad-chestct": rad_chestct.build, "ct-folder": ct_folder.build},
    "nasal": {"endoscopy": endoscopy.build},
}
"""Sources of each task."""
SOURCES: dict[str, Build] = {name: build for sources in SOURCES_OF.values() for name, build in sources.items()}
"""Sources by the name that `python -m scripts datalist SOURCE` takes."""


def task_of(source: str) -> str:
    """The task whose datalist a source makes."""
    return next(task for task, sources in SOURCES_OF.items() if source in sources)
