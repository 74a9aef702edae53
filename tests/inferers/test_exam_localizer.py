"""NasVLM without annotations: scores, images of sentences, heat maps, answers in words."""

import pytest
import torch

from scripts.inferers import ExamLocalizer, ExamZeroShot
from scripts.inferers.exam_localizer import enlarge
from scripts.networks import ExamEmbeddings
from scripts.reports.tokens.text_tokenizer import TextTokenizer
from tests.small_nasvlm import SENTENCES, new_batch, new_network, write_text_model

ANSWERS = {"NOR": ["The nasopharynx is smooth.", "Both fossae are clear."], "NPC": ["An ulcerated mass fills the right fossa."]}


@pytest.fixture(scope="module")
def localizer(tmp_path_factory):
    folder = write_text_model(tmp_path_factory.mktemp("text"))
    localizer = ExamLocalizer(new_network(folder), TextTokenizer(folder, max_tokens=32), size=32, sigma=0.0)
    localizer.folder = folder
    return localizer


def hand_made():
    """Two exams in four dimensions: images that are axes, patches of a 2 x 2 grid; the second exam has one image."""
    axes = torch.eye(4)
    images = torch.stack([axes[[0, 1]], axes[[2, 2]]])
    images[1, 1] = 0
    patches = torch.zeros(2, 2, 4, 4)
    patches[0, 0] = axes[[3, 0, 1, 1]]
    patches[0, 1] = axes[[1, 1, 1, 0]]
    mask = torch.tensor([[True, True], [True, False]])
    exam = torch.nn.functional.normalize(images.sum(1), dim=1)
    return ExamEmbeddings(exam, images, patches, mask, mask / mask.sum(1, keepdim=True), torch.tensor(0.1))


def test_a_sentence_selects_the_image_that_it_resembles(localizer):
    weights = localizer.images_of(hand_made(), torch.eye(4)[[0, 1]])
    assert weights.shape == (2, 2, 2)
    assert weights[0].argmax(1).tolist() == [0, 1] and weights[0].max(1).values.min() > 0.99
    assert weights[1].tolist() == [[1, 0], [1, 0]]  # padding is never chosen


def test_scores_of_both_levels(localizer):
    exams, sentences = hand_made(), torch.eye(4)[[0, 2]]
    torch.testing.assert_close(localizer.scores(exams, sentences), torch.tensor([[1.0, 0], [0, 1]]), atol=1e-3, rtol=0)
    torch.testing.assert_close(localizer.scores(exams, sentences, "exam"), torch.tensor([[0.5**0.5, 0], [0, 1]]))
    with pytest.raises(ValueError, match="exam or region, got 'image'"):
        localizer.scores(exams, sentences, "image")


def test_heat_lies_where_the_patch_is_abnormal(localizer):
    heat = localizer.heat_maps(hand_made(), torch.eye(4)[[0]], torch.eye(4)[[1]])
    assert heat.shape == (2, 2, 1, 32, 32) and not heat[1].any()
    # Patches run along rows: the abnormal one is top right on the first image, bottom right on the second.
    first, second = heat[0, :, 0]
    assert first[4, 28] == 1 and first[28, 4] == first[28, 28] == -1 and first[4, 4] == 0
    assert second[28, 28] == 1 and second[4, 4] == second[4, 28] == -1


def test_smoothing_and_enlargement_keep_the_mean():
    heat = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(enlarge(heat, 32, 0.0).mean((2, 3)), heat.mean((2, 3)))
    smooth = enlarge(heat, 32, 1.0)
    torch.testing.assert_close(smooth.mean((2, 3)), heat.mean((2, 3)), atol=1e-5, rtol=0)
    assert smooth.std((2, 3)).max() < enlarge(heat, 32, 0.0).std((2, 3)).min()


def test_exams_and_sentences_are_those_of_the_network(localizer):
    images, inputs = new_batch(localizer.folder)
    with torch.inference_mode():
        exams, texts = localizer.network(images, **inputs)
        found = localizer.encode_exams(images, inputs["image_index"])
        torch.testing.assert_close(found.exam, exams.exam)
        torch.testing.assert_close(localizer.encode_sentences([SENTENCES[i] for i in (0, 2, 4, 6)]), texts.sentences[0])
        mean = localizer.mean_sentence(SENTENCES[:2])
        torch.testing.assert_close(mean, torch.nn.functional.normalize(localizer.encode_sentences(SENTENCES[:2]).sum(0), dim=0))


def test_sentences_are_encoded_once(localizer, monkeypatch):
    first = localizer.encode_sentences(SENTENCES)
    monkeypatch.setattr(localizer.network, "encode_sentences", lambda **texts: pytest.fail("encoded again"))
    assert torch.equal(localizer.encode_sentences(SENTENCES[::-1]), first.flip(0))


@pytest.mark.parametrize("level", ["exam", "region"])
def test_probability_is_a_softmax_over_the_answers(localizer, level):
    images, inputs = new_batch(localizer.folder)
    exams = localizer.encode_exams(images, inputs["image_index"])
    classifier = ExamZeroShot(localizer, ANSWERS, level)
    probability = classifier(exams)
    statements = torch.stack([localizer.mean_sentence(wordings) for wordings in ANSWERS.values()])
    scores = localizer.scores(exams, statements, level)
    torch.testing.assert_close(probability, (scores / 0.07).softmax(1))
    turned = ExamZeroShot(localizer, dict(reversed(ANSWERS.items())), level)
    assert turned.answers == ["NPC", "NOR"]
    torch.testing.assert_close(turned(exams), probability.flip(1))


@pytest.mark.parametrize("answers", [{}, {"NPC": ["A mass."]}, {"NPC": ["A mass."], "NOR": []}])
def test_answers_that_are_no_choice(localizer, answers):
    with pytest.raises(ValueError, match="two answers or more, each with a wording"):
        ExamZeroShot(localizer, answers)


def test_an_unknown_level(localizer):
    with pytest.raises(ValueError, match="exam or region, got 'patch'"):
        ExamZeroShot(localizer, ANSWERS, "patch")
