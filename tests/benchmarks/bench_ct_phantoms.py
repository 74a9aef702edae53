"""How much of the phantom volumes' findings organ volume and mean density tell, and what can be learnt with the labels.

Classifiers on the volume and mean density of all fifteen organs should know little (macro AUC at most .65): what a network
learns is then what findings look like. A network trained on the labels, pooled by organ, that sees what phantom.json's network sees
says how much is there to be learnt: the ceiling for training on reports.
"""

import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import affine_transform
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from tqdm import tqdm

from scripts.networks.volume_stem import DensityStatistics
from scripts.phantoms.ct.body import IDS
from scripts.phantoms.ct.case import make_case
from scripts.phantoms.ct.plan import FINDINGS
from tests.benchmarks.measure import print_table

SPACING, SHAPE, BLOCK = np.array([4.0, 4.0, 6.0]), (96, 72, 76), (4, 4, 4)
LABELS, ORGANS = list(FINDINGS), list(IDS)
ORGAN_OF = torch.tensor([ORGANS.index(finding.anatomy) for finding in FINDINGS.values()])
CONFIGS = Path(__file__).resolve().parents[2] / "bundles" / "ct_anatomy_zeroshot" / "configs"
MIN_HU, RANGE_HU = -1150.0, 1500.0
BATCH = 24


class Sample(NamedTuple):
    """statistics [30] (volume in ml and mean HU of each organ, NaN where there is none), labels [32] (NaN where the organ is not
    in the field of view), blocks [C, X, Y, Z] float16 (`DensityStatistics` of phantom.json), members [15, X, Y, Z] bool."""

    statistics: np.ndarray
    labels: np.ndarray
    blocks: np.ndarray
    members: np.ndarray


def statistics_network() -> DensityStatistics:
    """What phantom.json's network sees of a volume."""
    return DensityStatistics(json.loads((CONFIGS / "phantom.json").read_text())["density_windows"], BLOCK)


def sample(seed: int, split: str, index: int) -> Sample:
    case = make_case(seed, split, index)
    table = np.zeros(256, np.uint8)
    for position, ids in enumerate(IDS.values(), 1):
        table[list(ids)] = position
    organs = table[case.mask]
    counts = np.bincount(organs.ravel(), minlength=len(ORGANS) + 1)[1:]
    sums = np.bincount(organs.ravel(), case.hu.ravel(), len(ORGANS) + 1)[1:]
    linear = case.acquisition.affine[:3, :3]
    with np.errstate(invalid="ignore"):
        statistics = np.concatenate([counts * abs(np.linalg.det(linear)) / 1000, sums / counts])
    statistics[np.tile(counts == 0, 2)] = np.nan
    # The grid of 4 x 4 x 6 mm lies square to the body, its middle in the middle of the volume.
    matrix = np.linalg.inv(linear) @ np.diag(SPACING)
    offset = (np.array(case.hu.shape) - 1) / 2 - matrix @ ((np.array(SHAPE) - 1) / 2)
    resample = partial(affine_transform, matrix=matrix, offset=offset, output_shape=SHAPE)
    volume = torch.from_numpy(resample(case.hu.astype(np.float32), order=1, cval=-1024))
    members = F.one_hot(torch.from_numpy(resample(organs, order=0)).long(), len(ORGANS) + 1)[..., 1:].permute(3, 0, 1, 2)
    return Sample(
        statistics.astype(np.float32),
        np.array([case.labels.get(label, np.nan) for label in LABELS], np.float32),
        statistics_network()(((volume - MIN_HU) / RANGE_HU).clamp(0, 1)[None, None])[0].half().numpy(),
        F.max_pool3d(members.float(), BLOCK).bool().numpy(),
    )


def gather(seed: int, split: str, count: int) -> Sample:
    """Samples of a split's first volumes, stacked."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        made = list(tqdm(pool.map(partial(sample, seed, split), range(count), chunksize=4), total=count, desc=split))
    return Sample(*(np.stack(column) for column in zip(*made, strict=True)))


def statistics_aucs(samples: Sample) -> np.ndarray:
    """AUC of a linear and of a boosted classifier on organ statistics for each finding, by five-fold cross-validation, [32, 2]."""
    linear = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(max_iter=1000, C=0.1))
    boosted = HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=7, random_state=0)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    scores = []
    for truth in samples.labels.T:
        known = ~np.isnan(truth)
        features, truth = samples.statistics[known], truth[known].astype(int)
        guesses = [cross_val_predict(m, features, truth, cv=folds, method="predict_proba")[:, 1] for m in (linear, boosted)]
        scores.append([roc_auc_score(truth, guess) for guess in guesses])
    return np.array(scores)


class OrganClassifier(nn.Module):
    """A small 3-D network whose features of three levels are pooled within each organ; a logit per finding."""

    def __init__(self, channels: int, widths: tuple[int, int] = (32, 64)) -> None:
        super().__init__()

        def block(before: int, after: int, stride: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv3d(before, after, 3, stride, 1, bias=False), nn.BatchNorm3d(after), nn.ReLU())

        self.fine, self.coarse = block(channels, widths[0], 1), block(widths[0], widths[1], 2)
        features = 2 * (channels + sum(widths))
        self.norm = nn.BatchNorm1d(features)
        self.weight = nn.Parameter(torch.randn(len(LABELS), features) / 20)
        self.bias = nn.Parameter(torch.full((len(LABELS),), -1.5))

    def forward(self, blocks: Tensor, members: Tensor) -> Tensor:
        """Blocks [B, C, X, Y, Z] and members [B, 15, X, Y, Z] to logits [B, 32]."""
        fine = self.fine(blocks)
        pooled = torch.cat([self._pool(level, members.float()) for level in (blocks, fine, self.coarse(fine))], -1)
        pooled = self.norm(pooled.flatten(0, 1)).unflatten(0, pooled.shape[:2])
        return (pooled[:, ORGAN_OF.to(pooled.device)] * self.weight).sum(-1) + self.bias

    @staticmethod
    def _pool(features: Tensor, members: Tensor) -> Tensor:
        """Features [B, C, ...] within members [B, 15, ...], mean and maximum, [B, 15, 2 C]; 0 where an organ is absent."""
        within = F.adaptive_max_pool3d(members, features.shape[2:]).flatten(2)
        flat = features.flatten(2)
        mean = within @ flat.transpose(1, 2) / within.sum(-1, keepdim=True).clamp(min=1)
        # No feature is negative, so that 0 outside never is the maximum of an organ that shows anything.
        highest = torch.stack([(flat * mask[:, None]).amax(-1) for mask in within.unbind(1)], 1)
        return torch.cat([mean, highest], -1)


def train_ceiling(train: Sample, epochs: int, device: str) -> OrganClassifier:
    torch.manual_seed(0)
    network = OrganClassifier(train.blocks.shape[1]).to(device)
    batches = len(train.labels) // BATCH
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=epochs * batches)
    for epoch in range(epochs):
        order = torch.randperm(len(train.labels))[: batches * BATCH].view(-1, BATCH).numpy()
        for batch in tqdm(order, desc=f"epoch {epoch + 1}"):
            blocks, members, truth = (torch.from_numpy(a[batch]).to(device) for a in (train.blocks, train.members, train.labels))
            logits, known = network(blocks.float(), members), ~truth.isnan()
            loss = F.binary_cross_entropy_with_logits(logits[known], truth[known], pos_weight=torch.tensor(3.0, device=device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


@torch.inference_mode()
def ceiling_aucs(network: OrganClassifier, test: Sample, device: str) -> np.ndarray:
    """AUC of each finding, [32]."""
    parts = np.array_split(np.arange(len(test.labels)), max(1, len(test.labels) // BATCH))
    logits = [
        network(torch.from_numpy(test.blocks[part]).to(device).float(), torch.from_numpy(test.members[part]).to(device)).cpu()
        for part in parts
    ]
    scores = torch.cat(logits).numpy()
    known = ~np.isnan(test.labels)
    return np.array([roc_auc_score(test.labels[k, n], scores[k, n]) for n, k in enumerate(known.T)])


def main(training: int = 900, test: int = 300, epochs: int = 16, seed: int = 1, device: str = "cpu") -> None:
    train, held_out = gather(seed, "training", training), gather(seed, "test", test)
    aucs = np.column_stack([statistics_aucs(held_out), ceiling_aucs(train_ceiling(train, epochs, device), held_out, device)])
    rows = [[FINDINGS[label].anatomy, label, *(f"{value:.3f}" for value in row)] for label, row in zip(LABELS, aucs, strict=True)]
    rows.append(["", "macro", *(f"{value:.3f}" for value in aucs.mean(0))])
    rows.append(["", "target", "<= .65", "<= .65", ">= .95"])
    columns = ["anatomy", "finding", "statistics LR", "statistics GB", "organ network"]
    print_table(f"{training} phantom volumes with labels, {epochs} epochs, {test} test volumes, {device}", columns, rows)


if __name__ == "__main__":
    main()
