"""A language model as judge of sentences: a tiny one without sense for the plumbing, a scripted one that answers well."""

import json
import logging

import pytest
import torch

from scripts.preparation.language_model import LanguageModelDecomposer, UnusableAnswer, parse_answer
from scripts.reports.by_anatomy.reports import decompose_report
from scripts.reports.by_anatomy.table import AnatomyTable
from scripts.reports.tokens.text_models import TextModelError
from tests.small_language_model import write_language_model

TABLE = AnatomyTable.load("ct_rate", "ct")
REPORT = "FINDINGS: Heart size is normal. There is a nodule in the right lung.\nIMPRESSION: Pulmonary nodule."
GOOD = '{"0": {"heart": false}, "1": {"lung": true}, "2": {"lung": true}}'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_language_model(tmp_path_factory.mktemp("model"), positions=2048)


@pytest.fixture
def decompose(folder):
    return LanguageModelDecomposer(folder)


def answers_with(decompose, monkeypatch, answer):
    """Make the model generate an answer; gives the tasks that it was asked, as tokens decode."""
    asked = []

    def generate(input_ids, **options):
        assert options["do_sample"] is False and options["attention_mask"].shape == input_ids.shape
        asked.append(decompose.tokenizer.decode(input_ids[0]))
        return torch.cat([input_ids, decompose.tokenizer(answer, return_tensors="pt")["input_ids"].to(input_ids.device)], 1)

    monkeypatch.setattr(decompose.model, "generate", generate)
    return asked


def test_a_model_without_sense_leaves_the_report_to_words(folder, caplog):
    with caplog.at_level(logging.WARNING):
        decompose = LanguageModelDecomposer(folder)
        first, second = decompose(REPORT, TABLE), decompose(REPORT, TABLE)
    assert first == second == decompose_report(REPORT, TABLE)
    assert (decompose.reports, decompose.fallbacks) == (2, 2)
    assert "1 of 1 reports" in caplog.text and "2 of 2 reports" in caplog.text
    assert "nodule" not in caplog.text  # nothing of the report is logged


def test_decoding_is_greedy(decompose):
    task = "Heart"
    generated = decompose._generate(task, 6)
    ids = decompose.tokenizer(task, return_tensors="pt")["input_ids"].to(decompose.model.device)
    start = ids.shape[1]
    for _ in range(6):
        likeliest = decompose.model(ids).logits[:, -1].argmax(-1, keepdim=True)
        ids = torch.cat([ids, likeliest], 1)
        if likeliest.item() == decompose.tokenizer.eos_token_id:
            break
    assert generated == decompose.tokenizer.decode(ids[0, start:], skip_special_tokens=True)


def test_a_good_answer_decides(decompose, monkeypatch):
    # Against the words: what the model says counts, also where it is wrong.
    asked = answers_with(
        decompose, monkeypatch, 'Here you are: {"0": {"heart": true}, "2": {"lung": false, "aorta": true}} Good luck.'
    )
    assert decompose(REPORT, TABLE) == {
        "lung": "lung shows no significant abnormalities.",
        "heart": "Heart size is normal.",
        "esophagus": "esophagus shows no significant abnormalities.",
        "aorta": "Pulmonary nodule.",
    }
    assert decompose.fallbacks == 0
    (task,) = asked
    assert "The anatomies are: lung, heart, esophagus, aorta." in task
    assert "0: Heart size is normal\n1: There is a nodule in the right lung\n2: Pulmonary nodule\n" in task


def test_an_answer_that_agrees_with_the_words(decompose, monkeypatch):
    answers_with(decompose, monkeypatch, GOOD)
    assert decompose(REPORT, TABLE) == decompose_report(REPORT, TABLE)
    assert decompose.fallbacks == 0


def test_the_chat_template_is_used(tmp_path, monkeypatch):
    decompose = LanguageModelDecomposer(write_language_model(tmp_path, positions=2048, chat=True))
    asked = answers_with(decompose, monkeypatch, GOOD)
    decompose(REPORT, TABLE)
    assert asked[0].startswith("<user>You sort the sentences") and asked[0].endswith("</user><answer>")


def test_a_report_too_long_for_the_model(tmp_path, caplog):
    decompose = LanguageModelDecomposer(write_language_model(tmp_path, positions=64))
    assert decompose(REPORT, TABLE) == decompose_report(REPORT, TABLE)
    assert decompose.fallbacks == 1 and "the model has 64" in caplog.text


def test_an_empty_report_is_not_asked_about(decompose, monkeypatch):
    asked = answers_with(decompose, monkeypatch, "{}")
    assert decompose("", TABLE) == decompose_report("", TABLE)
    assert asked == [] and decompose.fallbacks == 0


def test_answers_that_can_be_used():
    assert parse_answer(GOOD, 3, TABLE.names) == {0: {"heart": False}, 1: {"lung": True}, 2: {"lung": True}}
    assert parse_answer(f"```json\n{GOOD}\n```", 3, TABLE.names) == parse_answer(GOOD, 3, TABLE.names)
    assert parse_answer("{}", 3, TABLE.names) == {}


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "The heart is normal.",
        GOOD[:-5],
        '{"3": {"lung": true}}',
        '{"-1": {"lung": true}}',
        '{"one": {"lung": true}}',
        '{"0": {"liver": true}}',
        '{"0": {"lung": "yes"}}',
        '{"0": {"lung": 1}}',
        '{"0": ["lung"]}',
    ],
)
def test_answers_that_cannot_be_used(answer):
    with pytest.raises(UnusableAnswer):
        parse_answer(answer, 3, TABLE.names)


def test_no_model(tmp_path):
    with pytest.raises(TextModelError, match="no causal language model"):
        LanguageModelDecomposer(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(TextModelError, match="no causal language model"):
        LanguageModelDecomposer(tmp_path)
    with pytest.raises(TextModelError, match="no such folder"):
        LanguageModelDecomposer(tmp_path / "missing")
