"""Texts by anatomy as the published fVLM code makes and reads them (arXiv 2501.14548, its CT-RATE release, commit d768ec1).

The release takes reports that a language model took apart, as two tables: desc_info (findings) and conc_info (impression), each
case -> anatomy -> text. `scripts.reports.by_anatomy.reports` is what makes them here.
"""

from collections.abc import Mapping, Sequence

from scripts.reports.by_anatomy.table import normal_template

_REMOVED = str.maketrans("", "", "\"'()")


def published_texts(descriptions: Mapping[str, str], conclusions: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """Assemble one case's texts: conclusion, or the template where there is none, then description.

    Quotes and round brackets are dropped. A description or conclusion that does not end with "." gets one, an empty one too: so
    an empty conclusion makes the anatomy abnormal.

    Args:
        descriptions, conclusions: the case's entries of desc_info and conc_info, anatomy -> text.
        names: the anatomies.
    """
    texts = {}
    for name in names:
        conclusion = _ended(conclusions[name]) if name in conclusions else normal_template(name)
        description = _ended(descriptions[name]) if name in descriptions else ""
        texts[name] = (conclusion + description).translate(_REMOVED)
    return texts


def _ended(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
