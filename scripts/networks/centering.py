"""A start from random weights at which films and reports already differ from each other."""

import torch
from torch import Tensor

from scripts.networks.afloc import AFLoc


@torch.no_grad()
def center_at_start(network: AFLoc, images: Tensor, texts: dict[str, Tensor]) -> None:
    """Take out of a fresh network's embeddings what all films, and all reports, of one batch share.

    At random weights the embeddings of any two films have a cosine near 1 (their features are all positive), and so have those of
    any two reports (the same common words); a contrast of such embeddings stays at chance for long. Pretrained weights do not have
    the problem, a start from random weights does. The mean is moved into parameters that the network has anyway: the report head's
    bias, the bias of BERT's last normalisation, and the direction that the convolutional heads ignore. Ours, not the paper's.

    Args:
        network: with random weights; changed in place.
        images: a batch of films, [B, 1 or 3, H, W] in [-1, 1], as many as possible.
        texts: their tokenized reports.
    """
    was_training = network.training
    network.train()  # batch statistics: the running ones have seen nothing yet
    encoder = network.image_encoder
    stage2, stage3, stage4 = encoder.stages(images)
    encoder.report_head.bias -= encoder.report_head(encoder.backbone.avgpool(stage4).flatten(1)).mean(0)
    for head, stage in ((encoder.word_head, stage2), (encoder.sentence_head, stage3)):
        shared = torch.nn.functional.normalize(stage.mean((0, 2, 3)), dim=0)
        weight = head.weight.flatten(1)
        weight -= (weight @ shared)[:, None] * shared
    report = network.text_encoder.eval()(**texts)  # dropout would be counted as something that reports share
    counts = (texts["word_index"].amax(1) + 1).float()
    pieces = texts["attention_mask"].sum(1) / counts  # a word is the sum of its pieces
    network.text_encoder.bert.encoder.layer[-1].output.LayerNorm.bias -= report.report.mean(0) / pieces.mean()
    network.train(was_training)
