"""Checking JSON against pydantic models: every fault with the file, record, key, value, reason and hint."""

import types
import typing
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from scripts.files.faults import MISSING, Fault, as_json

Model = TypeVar("Model", bound=BaseModel)

_TYPE_NAMES = {dict: "an object", list: "a list", str: "text", bool: "a truth value", int: "a number", float: "a number"}
_WANTED = {
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "bool_type": "a truth value",
    "int_type": "a whole number",
    "float_type": "a number",
}
"""What pydantic's errors of type ask for, in words."""


class StrictModel(BaseModel):
    """A JSON object of which every key is known and every value has its own type: nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


class ErrorCollector:
    """Collects the faults of one record; knows where it stands, so that checks need not."""

    def __init__(self, file: str, split: str = "", record: str = "") -> None:
        self.place = {"file": file, "split": split, "record": record}
        self.faults: list[Fault] = []

    def add(self, kind: str, key: str, value: Any, reason: str, hint: str) -> None:
        """Note a fault at `key`; `value` is what stands there, `MISSING` if nothing does."""
        self.faults.append(Fault(kind, **self.place, key=key, value=as_json(value), reason=reason, hint=hint))

    def wrong_type(self, key: str, value: Any, wanted: str) -> None:
        self.add("wrong type", key, value, f"is {_TYPE_NAMES.get(type(value), 'null')}, not {wanted}", f"give {wanted}")

    def check(self, model: type[Model], value: Any, key: str = "", context: Any = None) -> Model | None:
        """Validate a value, and note everything that is wrong with it.

        Args:
            model: what the value must be.
            value: JSON.
            key: where the value stands in its record; "" for the record itself.
            context: handed to the model's validators.

        Returns:
            the model's instance, None where there are faults.
        """
        try:
            return model.model_validate(value, context=context)
        except ValidationError as error:
            for fault in error.errors(include_url=False):
                self._note(model, key, fault)
            return None

    def _note(self, model: type[BaseModel], prefix: str, error: ErrorDetails) -> None:
        key, owner = _place(model, prefix, error["loc"])
        value, kind = error["input"], error["type"]
        if kind == "missing":
            unknown_keys = value.keys() - owner.model_fields.keys()
            near = get_close_matches(str(error["loc"][-1]), [str(name) for name in unknown_keys], 1)
            self.add("missing key", key, MISSING, "is required and not there", f'rename "{near[0]}"' if near else "add it")
        elif kind == "extra_forbidden":
            self.add("unknown key", key, value, *unknown(str(error["loc"][-1]), owner.model_fields))
        elif kind in _WANTED:
            self.wrong_type(key, value, _WANTED[kind])
        else:
            context = error.get("ctx", {})
            self.add(kind.replace("_", " "), key, value, context.get("reason", error["msg"]), context.get("hint", "correct it"))


def fault(kind: str, reason: str, hint: str) -> PydanticCustomError:
    """The error that a validator raises, for `ErrorCollector.check` to note.

    Args:
        kind: words shared by faults of the same sort.
        reason: what is wrong.
        hint: the way out.
    """
    return PydanticCustomError(kind, "{reason}", {"reason": reason, "hint": hint})


def wrong_type(value: Any, wanted: str) -> PydanticCustomError:
    """The error of a value of another type than is wanted."""
    return fault("wrong type", f"is {_TYPE_NAMES.get(type(value), 'null')}, not {wanted}", f"give {wanted}")


def unknown(word: str, known: Iterable[str]) -> tuple[str, str]:
    """Reason and hint for a word that is not among the known ones."""
    near = get_close_matches(word, known, 1, cutoff=0.5)
    return f"is not among {', '.join(known)}", f'perhaps "{near[0]}" is meant' if near else "take one of these or leave it out"


def _place(model: type[BaseModel], prefix: str, location: tuple[str | int, ...]) -> tuple[str, type[BaseModel]]:
    """An error's key as documents are read ("findings[0].label", "labels[Edema]"), and the model that its last part belongs to."""
    key, owner, inside = prefix, model, model
    for part in location:
        if isinstance(inside, type) and issubclass(inside, BaseModel):
            owner, field = inside, inside.model_fields.get(str(part))
            key = f"{key}.{part}" if key else str(part)
            inside = _bare(field.annotation) if field else None
        elif part == "[key]":  # the name of a dictionary's entry, not its value
            key = key.rpartition("[")[0]
        else:
            key = f"{key}[{part}]"
            arguments = typing.get_args(inside)
            inside = _bare(arguments[-1]) if arguments else None
    return key, owner


def _bare(annotation: Any) -> Any:
    """A type without `Annotated` and `None`."""
    while typing.get_origin(annotation) is Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return _bare(next(one for one in typing.get_args(annotation) if one is not type(None)))
    return annotation
