"""Diagnoses by their signs, and the directions in which a classifier's classes begin."""

import pytest
import torch

from scripts.files.errors import UserError
from scripts.inferers import ExamLocalizer, ExamPromptClassifier, class_directions
from scripts.reports.tokens.text_tokenizer import TextTokenizer
from tests.small_nasvlm import new_batch, new_network, write_text_model

PROMPTS = {
    "NOR": {"signs": []},
    "BH": {"signs": ["adenoids"]},
    "NPC": {"signs": ["mass", "fossa"]},
    "adenoids": {"positive": ["Adenoid hyperplasia."], "negative": ["The nasopharynx is smooth."]},
    "mass": {"positive": ["An ulcerated mass.", "A nodular mass."], "negative": ["The nasopharynx is smooth."]},
    "fossa": {"positive": ["The left fossa is blunted."], "negative": ["Both fossae are clear."]},
}
CLASSES = ["NOR", "BH", "NPC"]


@pytest.fixture(scope="module")
def exams(tmp_path_factory):
    """A localizer and two exams."""
    folder = write_text_model(tmp_path_factory.mktemp("text"))
    localizer = ExamLocalizer(new_network(folder), TextTokenizer(folder, max_tokens=32), size=32, sigma=0.0)
    images, inputs = new_batch(folder)
    return localizer, localizer.encode_exams(images, inputs["image_index"])


def test_a_diagnosis_has_the_logit_of_any_of_its_signs(exams):
    localizer, embeddings = exams
    findings = ExamPromptClassifier(localizer, PROMPTS, CLASSES)
    adenoids, mass, fossa = findings.scores(embeddings).T
    logits = torch.stack([torch.zeros_like(mass), adenoids, ((mass.exp() + fossa.exp()) / 2).log()], dim=1)
    torch.testing.assert_close(findings.diagnosis(embeddings), logits.softmax(1))


def test_diagnoses_with_wordings_are_compared_with_them(exams):
    localizer, embeddings = exams
    worded = {name: prompt for name, prompt in PROMPTS.items() if "positive" in prompt}
    probability = ExamPromptClassifier(localizer, worded, ["adenoids", "mass"]).diagnosis(embeddings)
    statements = torch.stack([localizer.mean_sentence(worded[name]["positive"]) for name in ("adenoids", "mass")])
    torch.testing.assert_close(probability, (localizer.scores(embeddings, statements) / embeddings.temperature).softmax(1))


def test_signs_beside_wordings_are_refused(exams):
    with pytest.raises(UserError, match="lack wordings for NOR, BH, NPC"):
        ExamPromptClassifier(exams[0], PROMPTS, ["adenoids", "NPC"])


def test_directions_lead_from_absence_to_presence(exams):
    localizer, _ = exams
    normal, other = class_directions(localizer, PROMPTS, {"NOR": 0, "BH": 1, "NPC": 1})
    assert not normal.any() and normal.shape[0] == 1 and other.shape[0] == 3
    absent, present = (localizer.mean_sentence(PROMPTS["fossa"][side]) for side in ("negative", "positive"))
    torch.testing.assert_close(other[2], present - absent)
    with pytest.raises(UserError, match="no entry for CYST"):
        class_directions(localizer, PROMPTS, {"NOR": 0, "CYST": 1})
