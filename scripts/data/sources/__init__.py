"""Public data sets, one module each: read the folder as its owner distributes it, return records by split.

Every `build(source_dir, ...)` returns {"training": [...], "validation": [...], "test": [...]} with the datalist's keys
and absolute paths, reads images only to see that they are there, and raises one `SourceError` with every fault of the
folder.
"""

from collections.abc import Callable

from scripts.data.sources import (
    case_notes,
    chexlocalize,
    covid_rural,
    mimic_cxr,
    ms_cxr,
    nih_chestxray14,
    openi,
    rsna_pneumonia,
)

SOURCES: dict[str, Callable[..., dict[str, list[dict]]]] = {
    "mimic-cxr": mimic_cxr.build,
    "ms-cxr": ms_cxr.build,
    "rsna-pneumonia": rsna_pneumonia.build,
    "chexlocalize": chexlocalize.build,
    "nih-chestxray14": nih_chestxray14.build,
    "covid-rural": covid_rural.build,
    "openi": openi.build,
    "case-notes": case_notes.build,
}
"""Sources by the name that `python -m scripts datalist SOURCE` takes."""
