"""Our networks as MONAI's tools know networks: one image in, one tensor out."""

from collections.abc import Mapping
from functools import singledispatch
from typing import Any

import torch
from torch import Tensor, nn

from scripts.networks.afloc import AFLoc
from scripts.networks.exam_classifier import ExamClassifier
from scripts.networks.fvlm import FVLM
from scripts.networks.nasvlm import NasVLM


class ImageOnly(nn.Module):
    """The image side of a network, for `verify_net_in_out`, `ckpt_export` and `onnx_export` of `monai.bundle`.

        image_only = ImageOnly(load_afloc("models/model.pt"))
        embeddings = image_only(films)

    Those tools give an image and take a tensor; our networks take texts, exams or masks as well. What comes out of an image alone:

    AFLoc: report embedding [B, D].
    NasVLM: embedding of an exam of this one image [B, D], length 1.
    ExamClassifier: probabilities of classes [B, C] of an exam of this one image.
    FVLM: embeddings of the K anatomies [B, D, K], length 1, each of which may look at the whole volume, since no mask tells where
    it lies; with masks, `FVLM.encode_volumes` keeps each to its own place.

    Args:
        network: one of the four; convolutions of volumes that have no bias get one of zeros, which its state dict does not hold.

    Raises:
        TypeError: another network.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._predict = predict_image.dispatch(type(network))
        if self._predict is predict_image.dispatch(object):
            raise TypeError(f"{type(network).__name__} has no prediction of an image alone")
        self.network = network
        for layer in network.modules():
            if isinstance(layer, nn.Conv3d) and layer.bias is None:
                # PyTorch 2.13 writes a missing bias of a 3-D convolution into ONNX files in a shape that runtimes refuse.
                del layer.bias
                layer.register_buffer("bias", layer.weight.new_zeros(layer.out_channels), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Predict from images [B, C, H, W] or volumes [B, 1, D, H, W], prepared as the bundle's transforms do."""
        return self._predict(self.network, image)

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Take the network's own weights, or a whole file of ours, which has them under `network`: the tools load such files."""
        return self.network.load_state_dict(state_dict.get("network", state_dict), *args, **kwargs)


@singledispatch
def predict_image(network: nn.Module, image: Tensor) -> Tensor:
    raise NotImplementedError


@predict_image.register
def _(network: AFLoc, image: Tensor) -> Tensor:
    return network.image_encoder(image).report


@predict_image.register
def _(network: NasVLM, image: Tensor) -> Tensor:
    return network.encode_exams(image, _exams_of_one(image)).exam


@predict_image.register
def _(network: ExamClassifier, image: Tensor) -> Tensor:
    return network.classify(image, _exams_of_one(image)).logits.softmax(1)


@predict_image.register
def _(network: FVLM, image: Tensor) -> Tensor:
    nowhere = torch.zeros_like(image[:, 0], dtype=torch.uint8)  # an anatomy that the mask lacks looks everywhere
    return network.encode_volumes(image, nowhere)[0].mT


def _exams_of_one(image: Tensor) -> Tensor:
    return torch.arange(image.shape[0], device=image.device)[:, None]
