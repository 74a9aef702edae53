"""Network, losses and gradients against the published implementation, in eval and in train mode."""

import pytest
import torch

from scripts.losses import AFLocLoss, attention_maps
from scripts.losses.afloc_loss import symmetric_cross_entropy
from scripts.networks import AFLoc, ImageEncoder, TextEncoder
from scripts.reports.tokens.tokenizers import ReportTokenizer
from tests.golden.arrays import GoldenArrays, fill, published_names

LOSSES = {"loss": "loss", "report": "global_report_loss", "sentences": "local_sent_loss", "words": "local_word_loss"}
# The published code zeroes this gradient but for round-off.
ROUND_OFF = "attention.self.key.bias"


@pytest.fixture(scope="module")
def batch(afloc_golden, afloc_facts):
    """Films and tokenized reports in the published order, longest report first."""
    pixels = torch.from_numpy(GoldenArrays(afloc_golden / "setA" / "golden_slim.npz")["in_batch_u8"])
    order = afloc_facts["collate_order"]
    images = ((pixels / 255 - 0.5) / 0.5)[order, None]
    tokenizer = ReportTokenizer(afloc_golden / "setA" / "bert", max_tokens=97, published_lengths=True, pad_to_max=True)
    return images, tokenizer([afloc_facts["reports"][index] for index in order])


def new_network(afloc_golden):
    text_encoder = TextEncoder(str(afloc_golden / "setA" / "bert"), pretrained=False, report_length=97)
    network = AFLoc(ImageEncoder("resnet50", 64), text_encoder)
    fill(network)
    return network


@pytest.fixture(scope="module")
def step(request, afloc_golden, batch):
    """One forward and backward pass in a mode: network, embeddings, loss terms."""
    runs = {}

    def run(mode):
        if mode not in runs:
            network = new_network(afloc_golden).train(mode == "train")
            images, texts = network(batch[0], **batch[1])
            terms = AFLocLoss()(images, texts)
            terms["loss"].backward()
            runs[mode] = network, images, texts, terms
        return runs[mode]

    return run


def test_tokens_are_the_published_ones(afloc_numbers, afloc_facts, batch):
    afloc_numbers.near("in_caption_ids", batch[1]["tokens"])
    afloc_numbers.near("in_attention_mask", batch[1]["attention_mask"])
    assert batch[1]["word_lengths"].tolist() == afloc_facts["cap_lens_word"]
    assert batch[1]["sentence_lengths"].tolist() == afloc_facts["cap_lens_sent"]


def test_embeddings(afloc_numbers, step):
    _, images, texts, _ = step("eval")
    afloc_numbers.near("eval_img_emb_g", images.report, atol=1e-5)
    afloc_numbers.near("eval_img_emb_l", images.sentences, atol=1e-5)
    afloc_numbers.near("eval_img_emb_l2", images.words, atol=1e-5)
    afloc_numbers.near("eval_text_emb_r", texts.report, atol=1e-5)
    for name, units in (("eval_text_emb_w", texts.words), ("eval_text_emb_s", texts.sentences)):
        padded = torch.nn.functional.pad(units.detach(), (0, 97 - units.shape[2]))
        # The published maps keep what follows the units that count; ours end there.
        stored = next(key for key in afloc_numbers.arrays.files if key.partition("[")[0] == name)
        kept = torch.from_numpy(afloc_numbers[stored])[:, :, : units.shape[2]]
        torch.testing.assert_close(padded[:, :, : kept.shape[2]], kept, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("mode", "tolerance"), [("eval", 1e-6), ("train", 2e-5)])
def test_losses(mode, tolerance, afloc_numbers, afloc_facts, step):
    _, images, texts, terms = step(mode)
    expected = afloc_facts["eval_total"] if mode == "eval" else afloc_facts["train_trajectory"][0]
    for ours, theirs in LOSSES.items():
        assert float(terms[ours].detach()) == pytest.approx(expected[theirs], rel=tolerance)
    scores = 10 * torch.cosine_similarity(images.report[:, None], texts.report[None], dim=-1)
    afloc_numbers.near(f"{mode}_losses_global_scores", scores, atol=1e-5 if mode == "eval" else 1e-3)
    directions = [float(term.detach()) for term in symmetric_cross_entropy(scores)]
    expected = [afloc_facts[f"{mode}_losses"][f"global{n}"] for n in (0, 1)]
    assert directions == pytest.approx(expected, rel=1e-6 if mode == "eval" else 1e-4)


@pytest.mark.parametrize(("mode", "tolerance"), [("eval", 1e-5), ("train", 9e-4)])
def test_attention_maps(mode, tolerance, afloc_numbers, afloc_facts, step):
    _, images, texts, _ = step(mode)
    sentences = attention_maps(images.sentences, texts.sentences, texts.sentence_lengths)
    for film, length in enumerate(texts.sentence_lengths.tolist()):
        afloc_numbers.near(f"{mode}_losses_attn_sent_{film}", sentences[film : film + 1, :length], atol=tolerance)
    words = attention_maps(images.words, texts.words, texts.word_lengths)
    assert [[1, n, 38, 38] for n in texts.word_lengths.tolist()] == afloc_facts[f"{mode}_losses_attn_word_shapes"]
    if f"{mode}_losses_attn_word_0" in afloc_numbers.arrays.files:
        afloc_numbers.near(f"{mode}_losses_attn_word_0", words[:1, : texts.word_lengths[0]], atol=tolerance)


@pytest.mark.parametrize(("mode", "tolerance"), [("eval", 2e-4), ("train", 8e-4)])
def test_gradients(mode, tolerance, afloc_numbers, afloc_facts, step):
    network, *_ = step(mode)
    names = published_names(dict(network.named_parameters()))
    norms = afloc_facts[f"{mode}_grad_norms"]
    for name, parameter in network.named_parameters():
        if ROUND_OFF in name:
            continue
        # Batch statistics amplify round-off in the ResNet: instruction sets differ by up to .008, float64 by .016.
        loose = tolerance if mode == "eval" else 4e-2 if "backbone" in name else 10 * tolerance
        assert float(parameter.grad.norm()) == pytest.approx(norms[names[name]], rel=loose), name
        stored = f"{mode}_grad_norms/{names[name]}"
        if any(key.partition("[")[0] == stored for key in afloc_numbers.arrays.files):
            afloc_numbers.near(stored, parameter.grad, atol=loose * float(parameter.grad.abs().max()))
    total = torch.nn.utils.get_total_norm([p.grad for p in network.parameters()])
    assert float(total) == pytest.approx(afloc_facts[f"{mode}_grad_norms_total"], rel=2e-2)


# Round-off grows from step to step: one thread, two, older instruction sets and float64 differ from the published run by up to
# .005, .014 and .129 at steps 1, 2 and 3, most in the sentences' term, which falls by .19, .35 and .35 of itself.
TRAJECTORY = (2e-5, 1e-2, 5e-2, 0.25)


@pytest.mark.slow
def test_three_training_steps(afloc_golden, afloc_facts, batch):
    network = new_network(afloc_golden).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-5, betas=(0.5, 0.999), weight_decay=1e-6)
    for step, expected in enumerate(afloc_facts["train_trajectory"]):
        terms = AFLocLoss()(*network(batch[0], **batch[1]))
        for ours, theirs in LOSSES.items():
            assert float(terms[ours].detach()) == pytest.approx(expected[theirs], rel=TRAJECTORY[step]), step
        if step == 0:
            # The statistics move once per forward pass of the encoder.
            state = network.state_dict()
            for key, name in published_names(state).items():
                if name in afloc_facts["bn_after_1_step"]:
                    assert float(state[key].sum()) == pytest.approx(afloc_facts["bn_after_1_step"][name], rel=1e-4, abs=1e-4)
        optimizer.zero_grad()
        terms["loss"].backward()
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), 0.25)
        if step == 0:  # later norms are chaotic: one thread or two, float32 or 64 differ by a tenth
            assert float(norm) == pytest.approx(expected["grad_norm_before_clip"], rel=1e-2)
        optimizer.step()
