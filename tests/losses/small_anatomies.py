"""A network and batches of anatomies small enough to compare every gradient."""

import torch
from torch import nn

from scripts.networks import AnatomyEmbeddings, AnatomyTexts
from scripts.networks.fvlm import l2_normalize

PATIENTS, ANATOMIES = 4, 3
CASES = ["all there", "anatomy absent on a rank", "all normal", "one patient only"]


class Small(nn.Module):
    """One matrix for images, one for texts, the temperature."""

    def __init__(self, seed=1):
        super().__init__()
        torch.manual_seed(seed)
        self.image = nn.Linear(5, 8).double()
        self.text = nn.Linear(5, 8).double()
        self.temperature = nn.Parameter(torch.tensor(0.1, dtype=torch.float64))

    def forward(self, images, texts, present, normal, text_ids):
        volumes = AnatomyEmbeddings(l2_normalize(self.image(images)), present, self.temperature)
        return volumes, AnatomyTexts(l2_normalize(self.text(texts)), normal, text_ids)


def batch(case):
    """Arguments of the network; patients 0 and 1 are the first rank's, 2 and 3 the second's."""
    generator = torch.Generator().manual_seed(2)
    images = torch.randn(PATIENTS, ANATOMIES, 5, dtype=torch.float64, generator=generator)
    texts = torch.randn(PATIENTS, ANATOMIES, 5, dtype=torch.float64, generator=generator)
    present = torch.ones(PATIENTS, ANATOMIES, dtype=torch.bool)
    normal = torch.tensor([[1, 1, 0], [0, 1, 0], [1, 0, 0], [0, 1, 1]], dtype=torch.bool)
    if case == "anatomy absent on a rank":
        present[2:, 1] = present[:2, 2] = False
    elif case == "all normal":
        normal[:] = True
    elif case == "one patient only":
        present[1:] = False
    text_ids = torch.where(normal, 0, torch.arange(1, 1 + PATIENTS * ANATOMIES).view(PATIENTS, ANATOMIES) % 5)
    return {"images": images, "texts": texts, "present": present, "normal": normal, "text_ids": text_ids}
