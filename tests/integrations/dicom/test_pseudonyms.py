"""Pseudonyms: the same for the same key, different otherwise, and a key that only its owner reads."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from integrations.dicom.errors import DicomError
from integrations.dicom.pseudonyms import Pseudonyms


def test_same_key_same_pseudonym_another_key_another(tmp_path):
    one = Pseudonyms(tmp_path / "key")
    first = one.of("case", "CT-2024-0113")
    assert re.fullmatch("case-[a-z2-7]{16}", first)
    assert Pseudonyms(tmp_path / "key").of("case", "CT-2024-0113") == first
    assert Pseudonyms(tmp_path / "other").of("case", "CT-2024-0113") != first


def test_kinds_and_values_are_kept_apart(tmp_path):
    pseudonyms = Pseudonyms(tmp_path / "key")
    found = {pseudonyms.of(kind, value)[-16:] for kind, value in (("case", "a"), ("patient", "a"), ("case", "b"), ("cas", "ea"))}
    assert len(found) == 4


def test_key_is_readable_by_its_owner_alone(tmp_path):
    Pseudonyms(tmp_path / "deep" / "key")
    assert (tmp_path / "deep" / "key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["key"]


def test_first_uses_at_the_same_time_agree(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: Pseudonyms(tmp_path / "key").of("case", "a"), range(32)))
    assert len(found) == 1


@pytest.mark.parametrize("content", ["", "no key", "ab" * 31])
def test_broken_key_is_refused(tmp_path, content):
    (tmp_path / "key").write_text(content)
    with pytest.raises(DicomError, match="restore it from a copy"):
        Pseudonyms(tmp_path / "key")
