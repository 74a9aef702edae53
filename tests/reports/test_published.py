"""The published text handling must come out exactly as the published code's golden values."""

import json

import numpy as np
import pytest

from scripts.reports.published import published_caption, published_prompt, published_report_table, published_sentences


@pytest.fixture(scope="module")
def values(golden):
    return json.loads((golden / "afloc/setA/golden.json").read_text())


def test_report_table_equals_published(values):
    reports = {f"r{index}": text for index, text in enumerate(values["raw_reports"])}
    # The golden run's table has an impression of one sentence for each report.
    sentences, to_remove, impressions = published_report_table(reports, impressions=dict.fromkeys(reports, "No acute process."))
    assert sentences == values["path2sent"]
    assert to_remove == values["to_remove"]
    assert impressions == values["impression_num"]


def test_impression_sentences_are_counted_in_their_own_column():
    reports = dict.fromkeys("abcd", "Lungs are clear. Heart is large")
    impressions = {"a": "1. Normal chest. 2. No effusion.", "b": "One two. three four. five six.", "c": "Normal.", "d": ""}
    assert published_report_table(reports, None, impressions)[2] == {"a": 2, "b": 2, "c": 0, "d": 0}
    assert published_report_table(reports, None)[2] == dict.fromkeys("abcd", 0)
    assert published_report_table({"a": "Lungs are clear."}, None, {"a": "Grade 2."})[2] == {"a": 1}


def test_a_report_that_is_all_impression_is_returned_whole_without_a_draw():
    state, untouched = np.random.RandomState(0), np.random.RandomState(0)
    assert published_caption(["a one", "b two"], 2, 2, state) == "a one. b two"
    assert state.randint(10**6) == untouched.randint(10**6)


def test_captions_equal_published(values):
    cases = (([f"alpha {index}" for index in range(6)], 2), (["only one"], 1), (["z one", "z two"], 0))
    state = np.random.RandomState(values["get_caption_seed"])
    drawn = [published_caption(s, count, mode, state) for mode in (1, 2) for _ in range(12) for s, count in cases]
    assert drawn == values["get_caption_sequence"]


def test_a_report_ends_only_when_the_words_hit_the_limit():
    assert published_sentences("one two three. four five. six seven") == ["one two three", "four five"]
    assert published_sentences("one two three. four five six. seven eight") == [
        "one two three",
        "four five six",
        "seven eight",
    ]
    assert len(published_sentences("one two three. four five. six seven", cut_at=None)) == 3


def test_published_faults_in_cleaning():
    assert published_sentences("Café-like opacity 3.5 cm", cut_at=None) == ["caf like opacity", "5 cm"]
    assert published_prompt("edema") == published_prompt("effusion") == ""
    assert published_prompt("No edema. Heart size is normal.") == "no edema heart size is normal"


@pytest.mark.parametrize(("sentences", "count", "mode"), [([], 0, 1), (["a", "b"], 0, 3), (["a", "b"], 3, 2)])
def test_refuses_what_cannot_be_drawn(sentences, count, mode):
    with pytest.raises(ValueError, match=r"mode|impression"):
        published_caption(sentences, count, mode, np.random.RandomState(0))
