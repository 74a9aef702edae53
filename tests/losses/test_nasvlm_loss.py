"""NasVLM's loss against its formulas written as loops, its borders, and two ranks against one process."""

import pytest
import torch
import torch.distributed as dist
from torch.nn.functional import normalize

from scripts.losses import ImageReportLoss, NasVLMLoss
from scripts.losses import exam_alignment as alignment
from scripts.losses.exam_alignment import assignments, row_losses, two_way_scores
from tests.losses.small_exams import SmallNasVLM, make_batch
from tests.ranks import run_ranks

WEIGHTS = {"exam": 0.7, "region": 1.3, "finding": 0.5, "patch": 0.9}


def full_loss(duplicates="positives"):
    return NasVLMLoss(*WEIGHTS.values(), duplicates=duplicates)


def alone(term):
    """The loss of one term."""
    return NasVLMLoss(**{f"{name}_weight": float(name == term) for name in WEIGHTS})


# The formulas, one pair, one sentence, one image at a time.


def plain_info_nce(scores, rows, right):
    """Mean over rows of the negative mean logarithm of what the right ones get; right: {row: columns}."""
    losses = []
    for row in rows:
        logs = scores[row] - torch.logsumexp(scores[row], 0)
        losses.append(-sum(logs[column] for column in right[row]) / len(right[row]))
    return sum(losses) / len(losses)


def plain_symmetric(scores):
    own = {row: [row] for row in range(len(scores))}
    return (plain_info_nce(scores, own, own) + plain_info_nce(scores.T, own, own)) / 2


def plain_pair_scores(images, sentences, temperature=0.1):
    """Both scores of one exam (list of images) and one report (list of sentences)."""
    cosines = torch.stack([torch.stack([sentence @ image for image in images]) for sentence in sentences])
    to_images = sum((row.softmax(0) * value).sum() for row, value in zip(cosines / temperature, cosines, strict=True))
    to_sentences = sum((row.softmax(0) * value).sum() for row, value in zip(cosines.T / temperature, cosines.T, strict=True))
    return to_images / len(sentences), to_sentences / len(images)


def unpadded(exams, texts):
    images = [part[mask] for part, mask in zip(exams.images, exams.image_mask, strict=True)]
    sentences = [part[mask] for part, mask in zip(texts.sentences, texts.sentence_mask, strict=True)]
    return images, sentences


def plain_region(exams, texts):
    images, sentences = unpadded(exams, texts)
    pairs = [[plain_pair_scores(one, other) for other in sentences] for one in images]
    ways = [torch.stack([torch.stack([pair[way] for pair in row]) for row in pairs]) for way in (0, 1)]
    return sum(plain_symmetric(way / exams.temperature) for way in ways) / 2


def image_found_by(exams, exam, sentence):
    images = exams.images[exam][exams.image_mask[exam]]
    return normalize((images @ sentence / 0.1).softmax(0) @ images, dim=0)


def patch_score(exams, exam, sentence):
    patches = exams.patches[exam][exams.image_mask[exam]].flatten(0, 1)
    return 0.1 * (patches @ sentence / 0.1).exp().mean().log()


def plain_statements(exams, texts, duplicates, score):
    """Contrast of sentences of one region over exams; score(exam, its own sentence, sentence to compare with)."""
    _, sentences = unpadded(exams, texts)
    known = [
        (exam, int(texts.regions[exam, row]), int(texts.findings[exam, row]), sentence)
        for exam, report in enumerate(sentences)
        for row, sentence in enumerate(report)
        if texts.regions[exam, row] >= 0 and texts.findings[exam, row] >= 0
    ]
    ways = []
    for turned in (False, True):
        losses = []
        for one, (exam, region, finding, text) in enumerate(known):
            logits, right = [], []
            for other, (exam_b, region_b, finding_b, text_b) in enumerate(known):
                if one == other or (region == region_b and exam != exam_b):
                    logits.append((score(exam_b, text_b, text) if turned else score(exam, text, text_b)) / exams.temperature)
                    right.append(one == other or (duplicates == "positives" and finding == finding_b))
            if not all(right):
                logs = torch.stack(logits).log_softmax(0)
                losses.append(-logs[torch.tensor(right)].mean())
        ways.append(sum(losses) / len(losses))
    return sum(ways) / 2


def plain_loss(exams, texts, duplicates="positives"):
    terms = {
        "exam": plain_symmetric(exams.exam @ texts.report.T / exams.temperature),
        "region": plain_region(exams, texts),
        "finding": plain_statements(exams, texts, duplicates, lambda exam, own, text: image_found_by(exams, exam, own) @ text),
        "patch": plain_statements(exams, texts, duplicates, lambda exam, own, text: patch_score(exams, exam, text)),
    }
    return {"loss": sum(WEIGHTS[name] * term for name, term in terms.items()), **terms}


def gradients_of(loss, network):
    return dict(zip([n for n, _ in network.named_parameters()], torch.autograd.grad(loss, list(network.parameters())), strict=True))


@pytest.mark.parametrize("duplicates", ["positives", "negatives"])
@pytest.mark.parametrize("block", [1, 1 << 20])
def test_loss_and_gradients_are_those_of_the_formulas(monkeypatch, duplicates, block):
    monkeypatch.setitem(alignment._BLOCK_ELEMENTS, "cpu", block)
    batch = make_batch([3, 1, 4, 2, 3], [2, 5, 1, 4, 4])
    batch.sentences[3, 2] = batch.sentences[3, 0]  # a report that repeats itself
    network = SmallNasVLM()
    found, wanted = full_loss(duplicates)(*network(batch)), plain_loss(*network(batch), duplicates)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(gradients_of(found["loss"], network), gradients_of(wanted["loss"], network))


def test_each_gradient_is_that_of_finite_differences():
    network, batch = SmallNasVLM(), make_batch([2, 1, 3], [2, 3, 1])

    def loss(weight):
        return full_loss()(*torch.func.functional_call(network, {"patch.weight": weight}, (batch,)))["loss"]

    assert torch.autograd.gradcheck(loss, (network.patch.weight.detach().requires_grad_(),))


def test_padding_is_never_read():
    """More padding, and other numbers in it, change nothing."""
    network, batch = SmallNasVLM(), make_batch([3, 1, 2], [2, 4, 1])
    exams, texts = network(batch)
    wide = make_batch([3, 1, 2, 6], [2, 4, 1, 7], seed=9).part(slice(0, 4))
    for field, wider in zip(batch, wide, strict=True):
        wider[:3, : field.shape[1]] = field
        if wider.dtype == torch.bool:
            wider[:3, field.shape[1] :] = False
    padded = type(batch)(*(field[:3] for field in wide))
    assert padded.images.shape[1] == 6 and padded.sentences.shape[1] == 7
    more = network(padded)
    torch.testing.assert_close(full_loss()(*more), full_loss()(exams, texts))
    junk = more[0]._replace(
        images=more[0].images.where(padded.image_mask[..., None], 7.0),
        patches=more[0].patches.where(padded.image_mask[..., None, None], 7.0),
    )
    texts_with_junk = more[1]._replace(sentences=more[1].sentences.where(padded.sentence_mask[..., None], -5.0))
    torch.testing.assert_close(full_loss()(junk, texts_with_junk), full_loss()(exams, texts))


@pytest.mark.parametrize("counts", [([1, 1], [1, 1]), ([1, 8], [1, 9]), ([20, 1], [1, 3])])
def test_one_image_and_one_sentence_are_fine(counts):
    network, batch = SmallNasVLM(), make_batch(*counts)
    terms = full_loss()(*network(batch))
    assert all(torch.isfinite(term) for term in terms.values())
    gradients = torch.autograd.grad(terms["loss"], list(network.parameters()))
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("term", ["finding", "patch"])
def test_nothing_known_of_the_sentences_leaves_a_term_silent(term):
    network, batch = SmallNasVLM(), make_batch([2, 2], [2, 2])
    exams, texts = network(batch._replace(regions=torch.full_like(batch.regions, -1)))
    loss = alone(term)(exams, texts)["loss"]
    assert loss == 0
    loss.backward()  # a rank of many must not hang
    assert not network.patch.weight.grad.any()


def test_one_place_is_enough_for_an_exam_to_show_a_finding():
    lesion, wall = torch.eye(4, dtype=torch.float64)[:2]
    patches = wall.expand(2, 1, 9, 4).clone()
    patches[0, 0, 5] = lesion
    scores = alignment.patch_scores(patches, torch.ones(2, 1, dtype=torch.bool), lesion[None])
    assert scores[0, 0] > 0.75 and scores[1, 0] == pytest.approx(0, abs=1e-9)


def test_the_same_statement_everywhere_has_nothing_to_be_told_from():
    network, batch = SmallNasVLM(), make_batch([2, 2, 2], [1, 1, 1])
    same = batch._replace(regions=torch.zeros_like(batch.regions), findings=torch.ones_like(batch.findings))
    assert alone("finding")(*network(same))["loss"] == 0
    loss = NasVLMLoss(0, 0, 1, 0, duplicates="negatives")
    assert loss(*network(same))["loss"] > 0


def test_terms_of_weight_zero_are_not_computed(monkeypatch):
    network, batch = SmallNasVLM(), make_batch([2, 2], [2, 2])
    for term in ("region", "finding", "patch"):
        monkeypatch.setattr(NasVLMLoss, f"_{term}", lambda *_: pytest.fail("computed"))
    assert set(alone("exam")(*network(batch))) == {"loss", "exam"}


@pytest.mark.parametrize("options", [{"exam_weight": -1}, dict.fromkeys([f"{name}_weight" for name in WEIGHTS], 0)])
def test_weights_that_train_nothing(options):
    with pytest.raises(ValueError, match="loss weights must be >= 0 and one of them > 0"):
        NasVLMLoss(**options)


def test_duplicates_is_one_of_two():
    with pytest.raises(ValueError, match="positives or negatives, got 'both'"):
        NasVLMLoss(duplicates="both")


@pytest.mark.parametrize("loss", [alone("exam"), alone("region"), ImageReportLoss()])
def test_a_single_exam_has_nothing_to_be_told_from(loss):
    with pytest.raises(ValueError, match="raise batch_size"):
        loss(*SmallNasVLM()(make_batch([2], [2])))


def test_the_loss_keeps_to_float32_under_autocast():
    network = SmallNasVLM().float()
    batch = make_batch([2, 3], [2, 3])
    exams, texts = network(batch._replace(images=batch.images.float(), sentences=batch.sentences.float()))
    with torch.autocast("cpu", torch.bfloat16):
        found = full_loss()(exams, texts)
    assert found["loss"].dtype == torch.float32
    torch.testing.assert_close(found, full_loss()(exams, texts), rtol=0, atol=0)


def test_a_sentence_belongs_to_the_image_that_it_resembles():
    images = torch.eye(4, dtype=torch.float64)[None, :3]
    mask = torch.tensor([[True, True, False]])
    weights = assignments(images, mask, torch.eye(4, dtype=torch.float64)[None, :3])
    torch.testing.assert_close(weights[0, 0], torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64), atol=1e-4, rtol=0)
    torch.testing.assert_close(weights[0, 2], torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64))


def test_sentences_on_what_was_not_imaged_lower_the_first_score_alone():
    images = torch.eye(4, dtype=torch.float64)[None, :2]
    report = torch.eye(4, dtype=torch.float64)[None, :3]  # the third sentence has no image
    both, there = torch.ones(1, 2, dtype=torch.bool), torch.tensor([[True, True, True]])
    to_images, to_sentences = two_way_scores(images, both, report, there)
    fewer = two_way_scores(images, both, report, torch.tensor([[True, True, False]]))
    assert float(to_images) < 0.7 < 0.99 < float(fewer[0])
    assert float(to_sentences) > 0.99 and float(fewer[1]) > 0.99


def test_row_losses_by_hand():
    scores = torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 5.0], [1.0, 1.0, 1.0]])
    compared = torch.tensor([[True, True, True], [True, True, False], [False, False, True]])
    positive = torch.tensor([[True, True, False], [False, True, False], [False, False, True]])
    losses, counts = row_losses(scores, compared, positive)
    first = torch.tensor([2.0, 1.0, 0.0]).log_softmax(0)
    wanted = [-(first[0] + first[1]) / 2, -torch.tensor([0.0, 3.0]).log_softmax(0)[1], torch.tensor(0.0)]
    torch.testing.assert_close(losses, torch.stack(wanted))
    assert counts.tolist() == [True, True, False]


def test_image_by_image_by_hand():
    network, batch = SmallNasVLM(), make_batch([2, 1, 3], [2, 3, 1])
    exams, texts = network(batch)
    images, _ = unpadded(exams, texts)
    owner = [exam for exam, part in enumerate(images) for _ in part]
    scores = torch.cat(images) @ texts.report.T / exams.temperature
    image_to_report = plain_info_nce(scores, range(6), {row: [exam] for row, exam in enumerate(owner)})
    mine = {exam: [row for row, other in enumerate(owner) if other == exam] for exam in range(3)}
    report_to_image = plain_info_nce(scores.T, range(3), mine)
    found = ImageReportLoss()(exams, texts)
    torch.testing.assert_close(
        found,
        {"loss": (image_to_report + report_to_image) / 2, "image_to_report": image_to_report, "report_to_image": report_to_image},
    )


# Two ranks. Exams 0 and 1 are the first's, 2 and 3 the second's, who pads to other lengths.

RANK_LOSSES = {"full": full_loss(), "negatives": full_loss("negatives"), "image by image": ImageReportLoss()}
RANK_BATCHES = {"ragged": ([2, 3, 1, 5], [4, 2, 1, 6]), "one image, one sentence": ([1, 1, 1, 1], [1, 1, 1, 1])}


def cases():
    return [(loss, batch) for loss in RANK_LOSSES for batch in RANK_BATCHES]


def run_rank(rank, store):
    results = []
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    for loss, batch in cases():
        unused = loss == "image by image"  # which does not train the pooling of images
        network = torch.nn.parallel.DistributedDataParallel(SmallNasVLM(), find_unused_parameters=unused)
        part = make_batch(*RANK_BATCHES[batch]).part(slice(2 * rank, 2 * rank + 2))
        value = RANK_LOSSES[loss](*network(part))["loss"]
        value.backward()
        gradients = {name: parameter.grad.tolist() for name, parameter in network.module.named_parameters() if _trained(loss, name)}
        results.append((rank, loss, batch, float(value.detach()), gradients))
    dist.barrier()
    dist.destroy_process_group()
    return results


def _trained(loss, name):
    return loss != "image by image" or not name.startswith("image_pooling")


@pytest.mark.slow
def test_two_ranks_equal_one_process(tmp_path):
    found = [result for results in run_ranks(run_rank, tmp_path / "store") for result in results]
    assert {(rank, loss, batch) for rank, loss, batch, _, _ in found} == {(rank, *case) for rank in (0, 1) for case in cases()}
    for _, loss, batch, value, gradients in found:
        network = SmallNasVLM()
        wanted = RANK_LOSSES[loss](*network(make_batch(*RANK_BATCHES[batch])))["loss"]
        wanted.backward()
        assert value == pytest.approx(float(wanted.detach()), rel=1e-12), (loss, batch)
        for name, parameter in network.named_parameters():
            if _trained(loss, name):
                gradient = torch.tensor(gradients[name], dtype=torch.float64)
                torch.testing.assert_close(gradient, parameter.grad, rtol=1e-9, atol=1e-12)
        assert any(torch.tensor(gradient).any() for gradient in gradients.values())
