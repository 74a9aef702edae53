"""A start from random weights at which images and texts already differ from each other."""

from functools import singledispatch

import torch
from torch import Tensor

from scripts.networks.afloc import AFLoc
from scripts.networks.anatomy_pooling import anatomy_tokens
from scripts.networks.fvlm import FVLM
from scripts.networks.nasvlm import NasVLM


@singledispatch
def center_at_start(network: AFLoc | FVLM | NasVLM, images: Tensor, inputs: dict[str, Tensor]) -> None:
    """Take out of a fresh network's embeddings what all images, and all texts, of one batch share.

    At random weights the embeddings of any two films have a cosine near 1 (their features are all positive), and so have those of
    any two reports (the same common words); a contrast of such embeddings stays at chance for long. Pretrained weights do not have
    the problem, a start from random weights does. The mean is moved into parameters that the network has anyway: biases of the
    last layers and, in AFLoc, the direction that the convolutional heads ignore. Ours, not the papers'.

    Args:
        network: with random weights; changed in place.
        images, inputs: a batch as large as possible, as the network takes it.
    """
    raise TypeError(f"no way to centre a {type(network).__name__}")


@center_at_start.register
@torch.no_grad()
def _(network: AFLoc, images: Tensor, inputs: dict[str, Tensor]) -> None:
    was_training = network.training
    network.train()  # batch statistics: the running ones have seen nothing yet
    encoder = network.image_encoder
    stage2, stage3, stage4 = encoder.stages(images)
    encoder.report_head.bias -= encoder.report_head(encoder.backbone.avgpool(stage4).flatten(1)).mean(0)
    for head, stage in ((encoder.word_head, stage2), (encoder.sentence_head, stage3)):
        shared = torch.nn.functional.normalize(stage.mean((0, 2, 3)), dim=0)
        weight = head.weight.flatten(1)
        weight -= (weight @ shared)[:, None] * shared
    report = network.text_encoder.eval()(**inputs)  # dropout would be counted as something that reports share
    counts = (inputs["word_index"].amax(1) + 1).float()
    pieces = inputs["attention_mask"].sum(1) / counts  # a word is the sum of its pieces
    network.text_encoder.bert.encoder.layer[-1].output.LayerNorm.bias -= report.report.mean(0) / pieces.mean()
    network.train(was_training)


@center_at_start.register
@torch.no_grad()
def _(network: FVLM, images: Tensor, inputs: dict[str, Tensor]) -> None:
    was_training = network.training
    network.eval()  # dropout would be counted as something that all share
    network.volume_encoder.stem.train()  # batch statistics: the running ones have seen nothing yet
    member, _ = anatomy_tokens(inputs["masks"], len(network.anatomies), network.volume_encoder.patch_size)
    features, there = network.pooling(network.volume_encoder(images), member), member.any(2)[..., None]
    network.pooling.projection_bias -= (features * there).sum(0) / there.sum(0).clamp_min(1)
    network.text_encoder.projection.bias -= network.text_encoder(inputs["tokens"], inputs["attention_mask"]).mean(0)
    network.train(was_training)


@center_at_start.register
@torch.no_grad()
def _(network: NasVLM, images: Tensor, inputs: dict[str, Tensor]) -> None:
    was_training = network.training
    network.train()  # batch statistics: the running ones have seen nothing yet
    exam_encoder = network.exam_encoder
    encoder = exam_encoder.image_encoder
    stages = encoder.stages(images)
    encoder.report_head.bias -= encoder.report_head(stages[-1].mean((0, 2, 3)))
    shared = torch.nn.functional.normalize(exam_encoder.patch_stage(stages).mean((0, 2, 3)), dim=0)
    weight = exam_encoder.patch_head.weight[..., 0, 0]
    weight -= (weight @ shared)[:, None] * shared
    network.text_encoder.eval()  # dropout would be counted as something that sentences share
    network.text_encoder.projection.bias -= network.text_encoder(inputs["tokens"], inputs["attention_mask"]).mean(0)
    network.train(was_training)
