"""Two networks that learn side by side, each from what a slow copy of the other finds similar."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from scripts.losses.fvlm_loss import CoTeachingOutputs


class CoTeaching(nn.Module):
    """A pair of networks, both trained, with a momentum copy of each that gives the other its soft targets.

    Our reconstruction of the co-teaching of Shui et al. (arXiv 2501.14548): they tell of two models with momentum that supply each
    other's targets, but released no code of it. Ours: both see the same batches and differ by their random weights; a copy's
    weights are the running mean of its network's over batches, m * copy + (1 - m) * network, its batch statistics the network's
    own; the copies read without dropout. A network does not teach itself, so its mistakes do not confirm themselves (Han et al.,
    arXiv 1804.06872). `scripts.losses.FVLMLoss` makes the targets.

    In training it gives the first network's outputs and `CoTeachingOutputs`; in evaluation it is the first network, which is the
    one to keep. A step costs as much as two steps and two forward passes.

    Args:
        network: the network to keep, whose forward gives `AnatomyEmbeddings` and `AnatomyTexts`.
        partner: of the same kind, with other weights, see `new_partner`.
        momentum: m, in [0, 1].

    Raises:
        ValueError: m outside [0, 1].
    """

    def __init__(self, network: nn.Module, partner: nn.Module, momentum: float = 0.995) -> None:
        super().__init__()
        self.network, self.partner = network, partner
        average = get_ema_multi_avg_fn(momentum)
        self.teachers = nn.ModuleList(AveragedModel(student, multi_avg_fn=average) for student in (network, partner))
        self.teachers.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "CoTeaching":
        super().train(mode)
        self.teachers.eval()
        return self

    def forward(self, images: Tensor, **inputs: Tensor) -> tuple:
        """What the network gives for a batch, and in training `CoTeachingOutputs`; the copies follow before they teach."""
        if not self.training:
            return self.network(images, **inputs)
        with torch.no_grad():
            for teacher, student in zip(self.teachers, (self.network, self.partner), strict=True):
                teacher.update_parameters(student)  # at the first batch it becomes the student's equal
            by_network, by_partner = (teacher(images, **inputs) for teacher in self.teachers)
        return *self.network(images, **inputs), CoTeachingOutputs(self.partner(images, **inputs), by_network, by_partner)


def new_partner(network: nn.Module, other: nn.Module, pretrained: Sequence[str] = ()) -> nn.Module:
    """A copy of a network, with the weights of another of its size except where both start from the same pretrained ones.

    Args:
        network: copied with all that its weights do not tell, such as which of them are frozen.
        other: with random weights of its own.
        pretrained: what the names of the weights that remain the network's begin with.
    """
    partner = copy.deepcopy(network)
    drawn = {name: value for name, value in other.state_dict().items() if not name.startswith(tuple(pretrained))}
    partner.load_state_dict(network.state_dict() | drawn)
    return partner
