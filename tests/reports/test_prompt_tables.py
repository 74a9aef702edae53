"""Prompt tables of films and exams."""

import json

import pytest

from scripts.datalists.sources import chexlocalize, mimic_cxr, nih_chestxray14
from scripts.files.errors import UserError
from scripts.inferers.phrase_localizer import clean_phrase
from scripts.phantoms.nasal.words import prompt_table
from scripts.reports import read_prompts


def test_the_table_that_ships_asks_for_what_the_phantoms_show(tmp_path):
    table = read_prompts("nasal", "nasal")
    assert list(table)[:3] == ["NOR", "BH", "NPC"] and set(table) == set(prompt_table())
    (tmp_path / "own.json").write_text(json.dumps(table))
    assert read_prompts(tmp_path / "own.json", "nasal") == table


def test_the_table_of_films_asks_for_every_label_that_a_source_gives():
    labels = {*chexlocalize.LABELS, *mimic_cxr.LABELS, *nih_chestxray14.LABELS, "Normal", "Pneumonia"}
    table = read_prompts("cxr", "cxr")
    assert set(table) == labels
    phrases = [text for sides in table.values() for texts in sides.values() for text in texts]
    assert all(len(clean_phrase(text).split()) > 1 for text in phrases)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, ["unreadable prompt table", "cannot be opened", "prompt table of domain cxr (cxr), or the path"]),
        ("{", ["is not JSON: "]),
        ("[]", ["is a list, not an object {name: "]),
        (
            '{"polyp": {"positive": ["Polyp."]}, "pus": {"positive": ["Pus."], "negative": [""]}, "cyst": 3, "x": {"more": 1}}',
            [
                "polyp, negative: is required and not there",
                'pus, negative[0] = "": is empty',
                "cyst = 3: is a number, not an object",
                "x, more = 1: is not among positive, negative",
                "6 faults in 4 records",
            ],
        ),
        (
            '{"NPC": {"signs": ["mass"]}, "BH": {"signs": "mass"}, "cyst": {"positive": [], "negative": []}}',
            ['NPC, signs[0] = "mass": has no wordings in the table; add its wordings, or take one of cyst', "BH, signs"],
        ),
    ],
)
def test_a_faulty_table_is_named(tmp_path, content, told):
    path = tmp_path / "prompts.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError) as caught:
        read_prompts(path, "cxr")
    for part in (str(path), *told):
        assert part in str(caught.value), str(caught.value)
