import hashlib
import json
import math

import pytest

from scripts.files.atomic import atomic_path, sha256_of, write_atomically, write_json_atomically


def test_a_file_is_written_with_its_folder_and_nothing_else_stays(tmp_path):
    write_atomically(tmp_path / "new" / "a.txt", "größer\n")
    assert (tmp_path / "new" / "a.txt").read_bytes() == b"gr\xc3\xb6\xc3\x9fer\n"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.txt"]


def test_an_exception_leaves_the_older_file_and_no_temporary_one(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        assert path.read_text() == "old"
        raise RuntimeError
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.txt", "old")]


def test_the_temporary_file_keeps_the_ending_and_the_folder(tmp_path):
    with atomic_path(tmp_path / "volume.nii.gz") as temporary:
        assert temporary.name.endswith(".nii.gz") and temporary.parent == tmp_path
        temporary.write_bytes(b"x")


def test_json_keeps_order_and_refuses_what_json_does_not_have(tmp_path):
    write_json_atomically(tmp_path / "a.json", {"b": 1, "a": "é"})
    assert list(json.loads((tmp_path / "a.json").read_text(encoding="utf-8")).items()) == [("b", 1), ("a", "é")]
    with pytest.raises(ValueError):
        write_json_atomically(tmp_path / "a.json", {"a": math.nan})
    assert (tmp_path / "a.json").exists()


def test_sha256_of_one_file_and_of_several(tmp_path):
    for name, content in (("a", b"abc"), ("b", b"")):
        (tmp_path / name).write_bytes(content)
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    assert sha256_of(tmp_path / "a") == abc
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert sha256_of([tmp_path / "a", tmp_path / "b"]) == hashlib.sha256(f"{abc}\n{empty}".encode()).hexdigest()
    assert sha256_of([tmp_path / "a", tmp_path / "b"]) != sha256_of([tmp_path / "b", tmp_path / "a"])
