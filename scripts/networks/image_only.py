"""Our networks as MONAI's tools know networks: one image in, one tensor out."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


class ImageOnly(nn.Module):
    """The image side of a network, for `verify_net_in_out`, `ckpt_export` and `onnx_export` of `monai.bundle`.

        image_only = ImageOnly(load_network("AFLoc", "models/model.pt"))
        embeddings = image_only(films)

    Those tools give an image and take a tensor; our networks take texts, exams or masks as well. What comes out of an image alone
    is what the network's `predict_image` says.

    Args:
        network: with `predict_image`; convolutions of volumes that have no bias get one of zeros, which no state dict holds.

    Raises:
        TypeError: another network.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        if not hasattr(network, "predict_image"):
            raise TypeError(f"{type(network).__name__} has no prediction of an image alone")
        self.network = network
        for layer in network.modules():
            if isinstance(layer, nn.Conv3d) and layer.bias is None:
                # PyTorch 2.13 writes a missing bias of a 3-D convolution into ONNX files in a shape that runtimes refuse.
                del layer.bias
                layer.register_buffer("bias", layer.weight.new_zeros(layer.out_channels), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Predict from images [B, C, H, W] or volumes [B, 1, D, H, W], prepared as the bundle's transforms do."""
        return self.network.predict_image(image)

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Take the network's own weights, or a whole file of ours, which has them under `network`: the tools load such files."""
        return self.network.load_state_dict(state_dict.get("network", state_dict), *args, **kwargs)
