"""Evaluator for networks that embed images and texts and learn by contrast."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from ignite.metrics import Metric
from monai.engines import SupervisedEvaluator
from monai.inferers import Inferer
from torch.utils.data import DataLoader

from scripts.engines.batches import prepare_vision_language_batch
from scripts.engines.trainer import autocast_to


class VisionLanguageEvaluator(SupervisedEvaluator):
    """Loss and embeddings of held-out image-text pairs; `engine.state.output` is what the metrics read.

    The output of a batch holds the loss and its terms as floats; the network's "image_outputs" and "text_outputs"; and the first
    tensor of each, "image_embeddings" and "text_embeddings" [B, D], in float32 on the device.

    Args:
        device: device of the network.
        val_data_loader: gives batches as the collates of `scripts.data` make them, each of two pairs or more.
        network, loss_function, inferer, amp: as in `VisionLanguageTrainer`.
        key_val_metric: name and Ignite metric that decides which checkpoint is best.
        additional_metrics: further Ignite metrics by name.
        val_handlers: Ignite or MONAI handlers.

    Raises:
        ValueError: unknown `amp`.
    """

    def __init__(
        self,
        device: str | torch.device,
        val_data_loader: DataLoader,
        network: torch.nn.Module,
        loss_function: Callable,
        key_val_metric: dict[str, Metric],
        additional_metrics: dict[str, Metric] | None = None,
        inferer: Inferer | None = None,
        val_handlers: Sequence | None = None,
        amp: str | None = None,
    ) -> None:
        super().__init__(
            device=device,
            val_data_loader=val_data_loader,
            network=network,
            inferer=inferer,
            prepare_batch=prepare_vision_language_batch,
            key_val_metric=key_val_metric,
            additional_metrics=additional_metrics,
            val_handlers=val_handlers,
            decollate=False,
        )
        self.loss_function = loss_function
        self.autocast = autocast_to(amp, self.state.device)

    def run(self, global_epoch: int = 1) -> None:
        """Run an epoch; a batch's outputs are not kept in memory while the training goes on."""
        super().run(global_epoch)
        self.state.output = None

    def _iteration(self, engine: SupervisedEvaluator, batchdata: dict[str, Any]) -> dict[str, Any]:
        images, _, _, texts = engine.prepare_batch(batchdata, engine.state.device, engine.non_blocking)
        self.network.eval()
        with torch.inference_mode(), self.autocast:
            image_outputs, text_outputs = self.inferer(images, self.network, **texts)
            terms = self.loss_function(image_outputs, text_outputs)
        return {
            **{name: float(term) for name, term in terms.items()},
            "image_outputs": image_outputs,
            "text_outputs": text_outputs,
            "image_embeddings": image_outputs[0].float(),
            "text_embeddings": text_outputs[0].float(),
        }
