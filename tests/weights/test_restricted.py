"""The restricted reader gives what honest checkpoints hold, and runs nothing of hostile ones."""

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict, defaultdict
from pathlib import Path

import pytest
import torch

from scripts.files.errors import ConversionError
from scripts.weights.restricted import Inert, read_checkpoint


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.parts = function, arguments

    def __reduce__(self):
        return self.parts


def archive(path: Path, pickled: bytes, storages: dict[str, bytes] | None = None, compression=zipfile.ZIP_STORED) -> Path:
    """A checkpoint in torch.save's zip format around any pickle."""
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("archive/data.pkl", pickled)
        file.writestr("archive/version", "3\n")
        for key, content in (storages or {}).items():
            file.writestr(f"archive/data/{key}", content)
    return path


def named(module: str, name: str, argument: bytes) -> bytes:
    """Protocol 2 pickle of `{"state_dict": module.name(argument)}`, whatever module and name are."""
    text = b"X" + struct.pack("<I", len(argument)) + argument
    return b"\x80\x02}X\x0a\x00\x00\x00state_dictc" + f"{module}\n{name}\n".encode() + text + b"\x85Rs."


def tensor_pickle(key: bytes = b"0", elements: int = 4, size: int = 4) -> bytes:
    """Protocol 2 pickle of one float tensor of `size` in a storage `key` that claims `elements`."""
    number = struct.Struct("<i").pack
    return (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
        + (b"X" + struct.pack("<I", len(key)) + key + b"X\x03\x00\x00\x00cpuJ" + number(elements) + b"tQK\x00")
        + (b"J" + number(size) + b"\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR.")
    )


FOUR_FLOATS = struct.pack("<4f", 1, 2, 3, 4)


def test_published_structure_is_read_whole(afloc_golden):
    path = afloc_golden / "mini_lightning_ckpt" / "mini.ckpt"
    with pytest.raises(pickle.UnpicklingError, match="pytorch_lightning"):
        torch.load(path, weights_only=True)
    loaded = read_checkpoint(path)
    assert (loaded["epoch"], loaded["global_step"], loaded["pytorch-lightning_version"]) == (1, 2, "1.1.4")
    assert len(loaded["state_dict"]) == 223
    assert all(isinstance(value, torch.Tensor) for value in loaded["state_dict"].values())
    assert loaded["optimizer_states"][0]["param_groups"][0]["betas"] == (0.5, 0.999)
    assert loaded["lr_schedulers"][0]["gamma"] == 0.9
    assert isinstance(loaded["hyper_parameters"], Inert)
    (callback,) = loaded["callbacks"]
    assert issubclass(callback, Inert) and callback.name.endswith("ModelCheckpoint")
    # The admission ends with the reading.
    with pytest.raises(pickle.UnpicklingError, match="pytorch_lightning"):
        torch.load(path, weights_only=True)


@pytest.mark.parametrize("modern", [True, False])
def test_plain_checkpoints_are_read(tmp_path, modern):
    state = {"state_dict": OrderedDict(a=torch.arange(5.0), b=torch.ones(2, 3).half()), "epoch": 3, "note": "x"}
    torch.save(state, tmp_path / "plain.pt", _use_new_zipfile_serialization=modern)
    loaded = read_checkpoint(tmp_path / "plain.pt")
    assert loaded["epoch"] == 3 and loaded["note"] == "x"
    torch.testing.assert_close(loaded["state_dict"]["b"], torch.ones(2, 3).half())


def test_default_dictionaries_become_plain_ones(tmp_path):
    torch.save({"counts": defaultdict(int, a=1), "made by": defaultdict(list)}, tmp_path / "x.pt")
    assert read_checkpoint(tmp_path / "x.pt") == {"counts": {"a": 1}, "made by": {}}


HOSTILE = [
    (os, "mkdir"),
    (os, "system"),
    ("posix", "system"),
    ("builtins", "eval"),
    ("builtins", "exec"),
    ("builtins", "getattr"),
    ("builtins", "__import__"),
    ("__builtin__", "eval"),
    ("subprocess", "Popen"),
    ("torch.hub", "load"),
    ("torch", "load"),
    ("torch.serialization", "load"),
    ("numpy", "load"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("pickle", "loads"),
    ("runpy", "run_path"),
    ("operator", "methodcaller"),
    ("functools", "partial"),
    ("torch._utils", "_rebuild_tensor_v2.__globals__"),
    ("torch._utils._rebuild_tensor_v2", "__globals__"),
    ("collections", "OrderedDict.fromkeys"),
    ("builtins getattr", ""),
    ("builtins", "getattr omegaconf"),
    ("omegaconf_evil", "DictConfig"),
    ("os omegaconf", "system"),
    ("", "eval"),
    ("builtins", "dict.fromkeys"),
]


@pytest.mark.parametrize(("module", "name"), HOSTILE, ids=str)
@pytest.mark.parametrize("form", ["zip", "zip protocol 4", "legacy"])
def test_hostile_names_are_refused_and_nothing_runs(tmp_path, module, name, form):
    module = getattr(module, "__name__", module)
    trap = tmp_path / "trap"
    pickled = named(module, name, os.fsencode(trap))
    path = tmp_path / "hostile.ckpt"
    if form == "legacy":
        magic, version = torch.serialization.MAGIC_NUMBER, torch.serialization.PROTOCOL_VERSION
        head = b"".join(pickle.dumps(part, protocol=2) for part in (magic, version, {"little_endian": True}))
        path.write_bytes(head + pickled + pickle.dumps([], protocol=2))
    else:
        archive(path, pickled if form == "zip" else stack_global(module, name, os.fsencode(trap)))
    with pytest.raises(ConversionError) as refusal:
        read_checkpoint(path)
    assert str(path) in str(refusal.value)
    if form == "zip":
        shown = "builtins" if module == "__builtin__" else module
        assert f"{shown}.{name}" in str(refusal.value) and "nothing of it was run" in str(refusal.value)
    assert not trap.exists()


def stack_global(module: str, name: str, argument: bytes) -> bytes:
    """Protocol 4 names the function by strings on the stack, out of sight of a scan for names."""
    texts = [b"\x8c" + bytes([len(text)]) + text for text in (module.encode(), name.encode())]
    text = b"X" + struct.pack("<I", len(argument)) + argument
    return b"\x80\x04" + texts[0] + texts[1] + b"\x93" + text + b"\x85R."


def test_the_trap_would_spring(tmp_path):
    """The test above means something: the usual way of loading runs such a file."""
    trap = tmp_path / "trap"
    path = archive(tmp_path / "hostile.ckpt", named("os", "mkdir", os.fsencode(trap)))
    torch.load(path, weights_only=False)
    assert trap.is_dir()


def test_all_refused_names_are_listed(tmp_path):
    torch.save({"a": Call(eval, "1"), "b": Call(os.system, "true"), "c": torch.ones(2)}, tmp_path / "x.pt")
    with pytest.raises(ConversionError, match=r"builtins\.eval, posix\.system\."):
        read_checkpoint(tmp_path / "x.pt")


def test_calls_hidden_in_storages_are_refused(tmp_path):
    trap = tmp_path / "trap"
    call = named("os", "mkdir", os.fsencode(trap))[2:-1]  # without frame
    for hidden in (b"storage", b"module"):
        pickled = b"\x80\x02(X" + struct.pack("<I", len(hidden)) + hidden + call + b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ."
        with pytest.raises(ConversionError, match=r"os\.mkdir"):
            read_checkpoint(archive(tmp_path / "x.ckpt", pickled, {"0": FOUR_FLOATS}))
    assert not trap.exists()


def test_a_call_of_an_admitted_name_is_inert(tmp_path):
    """Names of admitted packages are never imported, whatever follows the package's name."""
    for module, name in (("typing", "sys.modules"), ("omegaconf", "os.system"), ("pytorch_lightning.x", "\0")):
        loaded = read_checkpoint(archive(tmp_path / "x.ckpt", named(module, name, b"true")))
        assert isinstance(loaded["state_dict"], Inert) and vars(loaded["state_dict"]) == {}


def test_state_cannot_be_planted_in_functions_or_classes(tmp_path):
    before = torch._utils._rebuild_tensor_v2.__defaults__
    state = pickle.dumps({"__defaults__": 1, "update": 2}, protocol=2)[2:-1]
    for name in (b"ctorch._utils\n_rebuild_tensor_v2\n", b"ccollections\nOrderedDict\n", b"comegaconf\nDictConfig\n"):
        with pytest.raises(ConversionError):
            read_checkpoint(archive(tmp_path / "x.ckpt", b"\x80\x02" + name + state + b"b."))
    assert torch._utils._rebuild_tensor_v2.__defaults__ == before


def test_a_storage_named_outside_the_archive_is_not_reached(tmp_path):
    (tmp_path / "secret").write_bytes(FOUR_FLOATS)
    good = archive(tmp_path / "good.ckpt", tensor_pickle(), {"0": FOUR_FLOATS})
    assert read_checkpoint(good).tolist() == [1, 2, 3, 4]
    for key in (b"../../secret", b"/etc/passwd", os.fsencode(tmp_path / "secret")):
        with pytest.raises(ConversionError):
            read_checkpoint(archive(tmp_path / "x.ckpt", tensor_pickle(key), {"0": FOUR_FLOATS}))


def test_entries_that_lead_out_are_not_unpacked(tmp_path):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    path = archive(folder / "x.ckpt", tensor_pickle(), {"0": FOUR_FLOATS, "../../../../outside": FOUR_FLOATS})
    assert read_checkpoint(path).tolist() == [1, 2, 3, 4]
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["x.ckpt"]


@pytest.mark.parametrize(
    ("elements", "size"), [(5, 5), (2**31 - 1, 4), (2**31 - 1, 2**31 - 1), (4, 5), (4, 2**31 - 1), (-1, 4), (4, -1)]
)
def test_sizes_that_the_file_does_not_hold_are_refused(tmp_path, elements, size):
    with pytest.raises(ConversionError):
        read_checkpoint(archive(tmp_path / "x.ckpt", tensor_pickle(b"0", elements, size), {"0": FOUR_FLOATS}))


def test_an_archive_that_unpacks_to_more_than_its_size_is_refused(tmp_path):
    bomb = archive(tmp_path / "x.ckpt", tensor_pickle(), {"0": bytes(10_000_000)}, zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 20_000
    with pytest.raises(ConversionError, match="claim 10000"):
        read_checkpoint(bomb)


@pytest.mark.parametrize("modern", [True, False])
def test_truncated_files_are_refused_at_any_length(tmp_path, modern, afloc_golden):
    buffer = io.BytesIO()
    torch.save({"a": torch.arange(100.0), "b": [1, "x"]}, buffer, _use_new_zipfile_serialization=modern)
    whole = buffer.getvalue()
    for length in range(0, len(whole), max(1, len(whole) // 60)):
        (tmp_path / "x.pt").write_bytes(whole[:length])
        with pytest.raises(ConversionError, match=r"x\.pt: "):
            read_checkpoint(tmp_path / "x.pt")
    mini = (afloc_golden / "mini_lightning_ckpt" / "mini.ckpt").read_bytes()
    (tmp_path / "x.pt").write_bytes(mini[: len(mini) // 2])
    with pytest.raises(ConversionError, match="truncated"):
        read_checkpoint(tmp_path / "x.pt")


@pytest.mark.parametrize("content", [b"", b"hello", b"<html>not found</html>", b"\x89PNG\r\n\x1a\n", bytes(1000), b"PK\x03\x04"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "x.ckpt").write_bytes(content)
    with pytest.raises(ConversionError, match="not a readable checkpoint") as refusal:
        read_checkpoint(tmp_path / "x.ckpt")
    assert "likely succeed" not in str(refusal.value), "advice to load unsafely must not reach the user"


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path, tmp_path / "absent.ckpt"):
        with pytest.raises(ConversionError, match="no such checkpoint file"):
            read_checkpoint(path)


def test_a_script_archive_is_refused(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "x.pt")
    with pytest.raises(ConversionError):
        read_checkpoint(tmp_path / "x.pt")
