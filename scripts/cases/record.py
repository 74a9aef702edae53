"""A record of a datalist: what every kind of case has."""

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator

from scripts.cases.values import Text, is_number
from scripts.files.validation import ErrorCollector, StrictModel, fault


def _age(value: Any) -> float:
    if not is_number(value) or value < 0:
        raise fault("bad age", "is no number of years from 0", "give years, or leave the key out")
    return value


class Record(StrictModel):
    """One case: what subgroups and splits go by; the kinds add their own keys."""

    ID_KEY: ClassVar[str]
    """Key that tells cases apart."""
    PATH_KEYS: ClassVar[tuple[str, ...]]
    """Keys that hold a file, or a list of files."""
    REPORT_KEYS: ClassVar[tuple[str, ...]] = ("report",)
    """Keys of which a training record needs one; the first is the usual one."""

    patient_id: Text
    site: Text = ""
    sex: Text = ""
    age: Annotated[float, BeforeValidator(_age)] = 0.0
    view: Text = ""
    scanner: Text = ""

    @classmethod
    def check_whole(cls, notes: ErrorCollector, record: dict[str, Any]) -> None:
        """Note what no key shows alone; other faults of the record are noted elsewhere."""
