"""What a data set's volumes were prepared with: a network that learned on one spacing does not know organs at another."""

import json
from collections.abc import Sequence
from pathlib import Path

from scripts.datalists.datalist import Datalist
from scripts.files.errors import UserError


def prepared_spacing(datalist: Datalist) -> list[float]:
    """Millimetres in x, y, z, as `preprocess-ct` wrote them into settings.json beside the volumes.

    The volumes themselves tell it less well: theirs is a little larger where sides are no multiples of it, see `prepare_volume`.

    Args:
        datalist: of prepared volumes, which may stand in several folders.

    Raises:
        UserError: a folder without settings.json or with a damaged one, or folders of different spacings; all are named.
    """
    records = [record for records in datalist.splits.values() for record in records]
    folders = sorted({Path(record["image"]).parent.parent for record in records})
    found, faults = {}, []
    for path in (folder / "settings.json" for folder in folders):
        try:
            found[path] = [float(side) for side in json.loads(path.read_text(encoding="utf-8"))["spacing"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            faults.append(f"{path} does not tell the spacing of its volumes ({type(error).__name__}: {error})")
    if len(set(map(tuple, found.values()))) > 1:
        faults += [f"{path} has {' x '.join(f'{side:g}' for side in spacing)} mm" for path, spacing in found.items()]
    if faults or not found:
        hint = "prepare all volumes with preprocess-ct, at one --spacing"
        raise UserError(f"{datalist.path}: volumes of one spacing are needed, {hint}:\n  " + "\n  ".join(faults))
    return found[folders[0] / "settings.json"]


def check_prepared_anatomies(datalist: Datalist, anatomies: Sequence[str]) -> None:
    """Compare the anatomies that the masks hold as 1, 2, ... with those that a network knows by these numbers.

    Raises:
        UserError: others, or in another order; all folders are named.
    """
    faults = []
    for folder in sorted({Path(record["image"]).parent.parent for records in datalist.splits.values() for record in records}):
        held = list(json.loads((folder / "settings.json").read_text(encoding="utf-8"))["anatomies"])
        if held != list(anatomies):
            faults.append(f"{folder} was prepared with {', '.join(held)}")
    if faults:
        raise UserError(
            f"{datalist.path}: masks must hold {', '.join(anatomies)}, in this order; give the --anatomies of preprocess-ct to the "
            "bundle as well, or prepare the volumes again:\n  " + "\n  ".join(faults)
        )
