"""Steps of the trainer against closed forms, on a linear network with the loss mean((X w - t)^2)."""

import pytest
import torch
from ignite.engine import Events
from ignite.metrics import Average
from monai.engines.utils import IterationEvents
from torch import nn

from scripts.engines import VisionLanguageEvaluator, VisionLanguageTrainer
from scripts.engines.trainer import NonFiniteLossError, native_amp

RATE = 0.1


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 1, bias=False)
        self.layer.weight.data = torch.tensor([[0.5, -1.0, 0.25]])
        self.dtypes = []

    def forward(self, images, targets):
        predicted = self.layer(images)
        self.dtypes.append(predicted.dtype)
        return (predicted,), (targets,)


def loss(images, texts):
    error = (images[0] - texts[0]).float()
    return {"loss": (error**2).mean(), "largest": error.abs().max()}


def batches(count=2, size=4, scale=1.0):
    generator = torch.Generator().manual_seed(2)
    result = []
    for index in range(count):
        images, targets = torch.randn(size, 3, generator=generator), torch.randn(size, 1, generator=generator)
        names = [f"s{index * size + number}" for number in range(size)]
        result.append({"images": images * scale, "inputs": {"targets": targets * scale}, "case_ids": names})
    return result


def gradient(weight, *parts):
    """Of the mean over the batches of their losses."""
    parts = [(batch["images"], batch["inputs"]["targets"]) for batch in parts]
    return sum(2 / len(x) * (x @ weight.T - t).T @ x for x, t in parts) / len(parts)


def train(data, epochs=1, **options):
    network = Linear()
    optimizer = torch.optim.SGD(network.parameters(), lr=RATE)
    trainer = VisionLanguageTrainer("cpu", epochs, data, network, optimizer, loss, **options)
    outputs = []

    @trainer.on(IterationEvents.MODEL_COMPLETED)
    def keep(engine):
        outputs.append(dict(engine.state.output))

    trainer.run()
    return network, outputs


def evaluate(data, amp=None):
    metric = {"mean": Average(output_transform=lambda output: output["loss"])}
    network = Linear()
    evaluator = VisionLanguageEvaluator("cpu", data, network, loss, metric, amp=amp)
    outputs = []
    evaluator.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: outputs.append(engine.state.output))
    evaluator.run()
    assert evaluator.state.output is None  # nothing of it stays on the device
    return network, evaluator, outputs


def test_a_step_is_gradient_descent():
    data = batches(2)
    network, outputs = train(data, epochs=2)
    weight = Linear().layer.weight.detach()
    for step in range(4):
        images, targets = data[step % 2]["images"], data[step % 2]["inputs"]["targets"]
        expected = {"loss": ((images @ weight.T - targets) ** 2).mean(), "largest": (images @ weight.T - targets).abs().max()}
        assert outputs[step] == pytest.approx({name: float(value) for name, value in expected.items()})
        weight = weight - RATE * gradient(weight, data[step % 2])
    torch.testing.assert_close(network.layer.weight.detach(), weight)


def test_two_half_batches_make_one_update():
    halves = batches(2, size=4)
    one = {
        "images": torch.cat([half["images"] for half in halves]),
        "inputs": {"targets": torch.cat([half["inputs"]["targets"] for half in halves])},
        "case_ids": halves[0]["case_ids"] + halves[1]["case_ids"],
    }
    start = Linear().layer.weight.detach()
    accumulated = train(halves, accumulation_steps=2)[0].layer.weight.detach()
    torch.testing.assert_close(accumulated, start - RATE * gradient(start, *halves))
    torch.testing.assert_close(accumulated, train([one])[0].layer.weight.detach())
    twice = train(halves, epochs=2, accumulation_steps=2)[0].layer.weight.detach()
    torch.testing.assert_close(twice, accumulated - RATE * gradient(accumulated, *halves))  # gradients start anew


def test_batches_that_are_left_make_a_full_update():
    data = batches(3)
    start = Linear().layer.weight.detach()
    middle = start - RATE * gradient(start, *data[:2])
    expected = middle - RATE * gradient(middle, data[2])
    torch.testing.assert_close(train(data, accumulation_steps=2)[0].layer.weight.detach(), expected)


@pytest.mark.parametrize("share", [0.25, 4.0])
def test_gradients_are_clipped(share):
    data = batches(2)
    start = Linear().layer.weight.detach()
    whole = gradient(start, *data)
    limit = share * float(whole.norm())
    network, outputs = train(data, accumulation_steps=2, clip_grad_norm=limit)
    torch.testing.assert_close(network.layer.weight.detach(), start - RATE * min(share, 1) * whole)
    assert "grad_norm" not in outputs[0] and outputs[1]["grad_norm"] == pytest.approx(float(whole.norm()))


@pytest.mark.parametrize(
    "known, amp",
    [({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True, "avx2": True}, "bf16"), ({"avx2": True, "avx512_bf16": False}, None)],
)
def test_a_processor_is_given_bf16_where_it_computes_with_it(known, amp, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)
    assert native_amp(torch.device("cpu")) == amp


@pytest.mark.parametrize("amp, dtype", [(None, torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_mixed_precision_on_a_cpu(amp, dtype):
    # Small numbers: the loss scale of fp16, 65536 at first, must not overflow. The limit holds for gradients as they
    # are, not as they are scaled.
    data = batches(1, scale=0.02)
    start = Linear().layer.weight.detach()
    whole = gradient(start, *data)
    limit = 0.5 * float(whole.norm())
    network, outputs = train(data, amp=amp, clip_grad_norm=limit)
    assert network.dtypes == [dtype] and network.layer.weight.dtype == torch.float32
    moved = (network.layer.weight.detach() - start) / RATE
    torch.testing.assert_close(moved, -0.5 * whole, rtol=0.03, atol=0.02 * float(whole.norm()))
    assert outputs[0]["grad_norm"] == pytest.approx(float(whole.norm()), rel=0.03)
    assert evaluate(data, amp)[0].dtypes == [dtype]


def test_unknown_precision_is_refused():
    for make in (train, evaluate):
        with pytest.raises(ValueError, match="amp must be null, bf16 or fp16, got 'half'"):
            make(batches(1), amp="half")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_names_its_cases(value):
    data = batches(3, size=2)
    data[1]["images"][0, 1] = value
    network = Linear()
    optimizer = torch.optim.SGD(network.parameters(), lr=RATE)
    trainer = VisionLanguageTrainer("cpu", 1, data, network, optimizer, loss)
    with pytest.raises(NonFiniteLossError, match=r"epoch 1, iteration 2; cases of this batch: s2, s3\. Look"):
        trainer.run()
    start = Linear().layer.weight.detach()  # one good step, and no step on what is not a number
    torch.testing.assert_close(network.layer.weight.detach(), start - RATE * gradient(start, data[0]))


def test_an_evaluation_changes_nothing_and_gives_what_metrics_read():
    data = batches(2)
    network, evaluator, outputs = evaluate(data)
    start = Linear().layer.weight.detach()
    images, targets = data[1]["images"], data[1]["inputs"]["targets"]
    torch.testing.assert_close(outputs[1]["image_embeddings"], images @ start.T)
    torch.testing.assert_close(outputs[1]["text_embeddings"], targets)
    assert outputs[1]["image_outputs"][0] is not None and torch.equal(outputs[1]["text_outputs"][0], targets)
    losses = [float(((b["images"] @ start.T - b["inputs"]["targets"]) ** 2).mean()) for b in data]
    assert evaluator.state.metrics["mean"] == pytest.approx(sum(losses) / 2)
    assert not network.training and torch.equal(network.layer.weight.detach(), start)
    assert network.layer.weight.grad is None
