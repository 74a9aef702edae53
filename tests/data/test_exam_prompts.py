"""Prompt tables of exams."""

import json

import pytest

from scripts.data import read_exam_prompts
from scripts.errors import UserError
from scripts.phantoms.nasal_words import prompt_table


def test_the_table_that_ships_asks_for_what_the_phantoms_show(tmp_path):
    table = read_exam_prompts("nasal")
    assert list(table)[:3] == ["NOR", "BH", "NPC"] and set(table) == set(prompt_table())
    (tmp_path / "own.json").write_text(json.dumps(table))
    assert read_exam_prompts(tmp_path / "own.json") == table


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "is no prompt table"),
        ("{", "is no prompt table"),
        ("[]", "must hold"),
        (
            '{"polyp": {"positive": ["Polyp."]}, "pus": {"positive": ["Pus."], "negative": [""]}, "cyst": 3}',
            "polyp: not of.*pus: not of.*cyst: not of",
        ),
        ('{"NPC": {"signs": ["mass"]}, "BH": {"signs": "mass"}}', "NPC: no wordings in the table for its signs mass; BH: not of"),
    ],
)
def test_a_faulty_table_is_named(tmp_path, content, told):
    path = tmp_path / "prompts.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=told) as caught:
        read_exam_prompts(path)
    assert str(path) in str(caught.value)
