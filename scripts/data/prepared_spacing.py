"""The spacing that a data set's volumes were prepared at: a network that learned on one does not know organs at another."""

import json
from pathlib import Path

from scripts.data.datalist import Datalist
from scripts.errors import UserError


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
        way_out = "prepare all volumes with preprocess-ct, at one --spacing"
        raise UserError(f"{datalist.path}: volumes of one spacing are needed, {way_out}:\n  " + "\n  ".join(faults))
    return found[folders[0] / "settings.json"]
