"""A transform as plain data, so that a checkpoint can say how its inputs were prepared, constants included."""

import inspect
from typing import Any

import numpy as np
import torch
from monai.transforms import Transform

WHERE = ("keys", "allow_missing_keys")
"""Arguments that say which entries of a record are transformed, not how."""


def describe_transform(transform: Transform) -> dict[str, Any]:
    """The class of a transform and the arguments that it was made with, defaults included: text, numbers, lists and objects.

        describe_transform(NormalizeIntensityd("image", subtrahend=0.5))
        # {"class": "NormalizeIntensityd", "subtrahend": 0.5, "divisor": None, "nonzero": False, "channel_wise": False, ...}

    MONAI's dictionary transforms keep their arguments in the array transform that they wrap; both are looked through.

    Raises:
        TypeError: an argument that no attribute of the same name holds, or a value that is no plain data.
    """
    wrapped = [part for part in vars(transform).values() if isinstance(part, Transform)]
    facts: dict[str, Any] = {"class": type(transform).__name__}
    for name, parameter in inspect.signature(type(transform)).parameters.items():
        if name in WHERE or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        held = next((part for part in (transform, *wrapped) if hasattr(part, name)), None)
        if held is None:
            raise TypeError(f"{type(transform).__name__} does not keep its argument '{name}': it cannot be described")
        facts[name] = _plain(getattr(held, name))
    return facts


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Transform):
        return describe_transform(value)
    if isinstance(value, np.ndarray | np.generic | torch.Tensor):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if isinstance(value, type):
        return value.__name__
    raise TypeError(f"{value!r} is no plain data: a checkpoint cannot hold it")
