"""Trainer for networks that embed images and texts and learn by contrast."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from monai.engines import SupervisedTrainer
from monai.engines.utils import IterationEvents
from monai.inferers import Inferer
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from scripts.engines.batches import prepare_vision_language_batch

AMP_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast_to(amp: str | None, device: torch.device) -> torch.autocast:
    """Mixed precision for a device: `amp` is None (full precision), "bf16" or "fp16".

    Raises:
        ValueError: another `amp`.
    """
    if amp is not None and amp not in AMP_DTYPES:
        raise ValueError(f"amp must be null, {' or '.join(AMP_DTYPES)}, got '{amp}'")
    return torch.autocast(device.type, AMP_DTYPES.get(amp), enabled=amp is not None)


def native_amp(device: torch.device) -> str | None:
    """The mixed precision that a device is fast in: "bf16" where it computes with bfloat16 itself, None where it would emulate it,
    which on a processor takes ten times as long as full precision does."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else None
    known = torch.cpu.get_capabilities()
    return "bf16" if any(known.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16")) else None


class NonFiniteLossError(RuntimeError):
    """The loss is NaN or infinite; the message names the batch's cases."""


class VisionLanguageTrainer(SupervisedTrainer):
    """MONAI's `SupervisedTrainer` for steps whose loss compares the images with the texts of one batch.

    A step is: embed, contrast, backward, clip, update. `loss_function` takes the network's outputs and returns a dict with "loss"
    and its named terms, which become `engine.state.output`. Differences from the parent: autocast on any device with bf16 or with
    fp16 and a loss scaler; gradients are unscaled and clipped before an update; a loss that is not finite ends the run and names
    the cases; the scaler exists from the start, so that a checkpoint can restore it.

    Accumulation averages gradients over several batches (at an epoch's end over those that are left); it does not widen the
    contrast, whose negatives stay within one batch (over all ranks).

    Args:
        device: device of the network.
        max_epochs: epochs to run.
        train_data_loader: gives batches as the collates of `scripts.data` make them.
        network: returns what `loss_function` takes.
        optimizer: over the network's parameters.
        loss_function: network outputs -> {"loss": scalar, term: scalar, ...}.
        inferer: MONAI inferer that calls the network.
        train_handlers: Ignite or MONAI handlers.
        amp: None, "bf16" or "fp16".
        clip_grad_norm: largest gradient norm; None leaves gradients as they are.
        accumulation_steps: batches per update.

    Raises:
        ValueError: unknown `amp`.
        NonFiniteLossError: during the run, at the first loss that is not finite.
    """

    def __init__(
        self,
        device: str | torch.device,
        max_epochs: int,
        train_data_loader: DataLoader,
        network: torch.nn.Module,
        optimizer: Optimizer,
        loss_function: Callable,
        inferer: Inferer | None = None,
        train_handlers: Sequence | None = None,
        amp: str | None = None,
        clip_grad_norm: float | None = None,
        accumulation_steps: int = 1,
    ) -> None:
        device = torch.device(device)
        # Handlers reach for these when the parent attaches them.
        self.autocast = autocast_to(amp, device)
        self.grad_scaler = torch.amp.GradScaler(device.type, enabled=amp == "fp16")
        self.clip_grad_norm = clip_grad_norm
        super().__init__(
            device=device,
            max_epochs=max_epochs,
            train_data_loader=train_data_loader,
            network=network,
            optimizer=optimizer,
            loss_function=loss_function,
            inferer=inferer,
            prepare_batch=prepare_vision_language_batch,
            train_handlers=train_handlers,
            decollate=False,
            accumulation_steps=accumulation_steps,
        )

    def _iteration(self, engine: SupervisedTrainer, batchdata: dict[str, Any]) -> dict[str, Any]:
        images, _, _, texts = engine.prepare_batch(batchdata, engine.state.device, engine.non_blocking)
        step = (engine.state.iteration - 1) % engine.state.epoch_length
        first = step - step % self.accumulation_steps  # of the batches that this update averages
        count = min(self.accumulation_steps, engine.state.epoch_length - first)
        self.network.train()
        if step == first:
            self.optimizer.zero_grad(set_to_none=True)
        with self.autocast:
            outputs = self.inferer(images, self.network, **texts)
            engine.fire_event(IterationEvents.FORWARD_COMPLETED)
            terms = self.loss_function(*outputs)
        engine.state.output = {name: float(term.detach()) for name, term in terms.items()}
        engine.fire_event(IterationEvents.LOSS_COMPLETED)
        if not torch.isfinite(terms["loss"]):
            raise NonFiniteLossError(
                f"loss is {engine.state.output} at epoch {engine.state.epoch}, iteration {engine.state.iteration}; "
                f"cases of this batch: {', '.join(batchdata['case_ids'])}. "
                "Look at these cases, lower learning_rate, or use bf16 in place of fp16"
            )
        self.grad_scaler.scale(terms["loss"] / count).backward()
        engine.fire_event(IterationEvents.BACKWARD_COMPLETED)
        if step + 1 == first + count:
            self._update(engine)
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return engine.state.output

    def _update(self, engine: SupervisedTrainer) -> None:
        if self.clip_grad_norm is not None:
            self.grad_scaler.unscale_(self.optimizer)
            norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.clip_grad_norm)
            engine.state.output["grad_norm"] = float(norm)
        self.grad_scaler.step(self.optimizer)
        self.grad_scaler.update()
