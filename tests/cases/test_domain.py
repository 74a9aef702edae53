"""Domains: those that ship, a folder of one's own, and everything that is wrong with one at once."""

import json

import pytest

from scripts.cases.domain import DomainError, known_domains, read_domain
from scripts.cases.kind import kind_of

ABOUT = {"title": "dishes", "kind": "image", "colour": "rgb", "lexicons": {"en": "lexicon.json"}}


def write(folder, **about):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lexicon.json").write_text("{}")
    (folder / "domain.json").write_text(json.dumps(ABOUT | about))
    return folder


def test_those_that_ship_are_named_alone():
    assert {"cxr", "nasal", "ct"} <= set(known_domains())
    assert [read_domain(name).reference for name in known_domains()] == list(known_domains())
    assert read_domain("cxr").phrase_for("Edema") == "Findings suggesting Edema."


@pytest.mark.parametrize("name", ["fundoscopy", "", " "])
def test_an_unknown_name_lists_the_known_ones(name, tmp_path, monkeypatch):
    """Also where the command is given in a domain's folder: nothing is no name for it."""
    monkeypatch.chdir(write(tmp_path / "ours"))
    with pytest.raises(DomainError, match=r"known: ct, cxr, nasal; or give the folder of your own"):
        kind_of(name)


def test_a_relative_folder_is_the_one_of_today(tmp_path, monkeypatch):
    for place in ("a", "b"):
        write(tmp_path / place / "ours", title=place)
        monkeypatch.chdir(tmp_path / place)
        assert read_domain("ours").title == place and read_domain("ours").reference == str(tmp_path / place / "ours")


def test_all_faults_of_a_domain_at_once(tmp_path):
    folder = write(tmp_path / "ours", kind="picture", colour=3, lexicons={}, colours=1)
    with pytest.raises(DomainError) as caught:
        read_domain(folder)
    assert all(f"  {key}: " in str(caught.value) for key in ("kind", "colour", "lexicons", "colours"))


@pytest.mark.parametrize(
    ("about", "says"),
    [
        ({"colour": "grey", "field_of_view": True}, 'set colour to "rgb"'),
        ({"phrase": "something"}, "must hold"),
        ({"lexicons": {"en": "gone.json"}, "tables": {"parts": "away.json"}}, r"not there: gone\.json, away\.json"),
    ],
)
def test_what_cannot_be(tmp_path, about, says):
    with pytest.raises(DomainError, match=says):
        read_domain(write(tmp_path / "ours", **about))


def test_what_a_domain_lacks_names_what_it_has(tmp_path):
    own = read_domain(write(tmp_path / "ours"))
    assert own.lexicon() == own.lexicon("en") == own.folder / "lexicon.json"
    with pytest.raises(DomainError, match="has no lexicon zh; it has en"):
        own.lexicon("zh")
    with pytest.raises(DomainError, match="has no prompt table; it has none"):
        own.prompt_table()
