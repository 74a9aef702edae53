"""How hard the phantom films are: what a grey histogram gives away, and what supervision reaches (the ceiling).

    python -m tests.benchmarks phantoms

Histogram: AUC of logistic regression and of gradient boosting on 64 bins, mean and standard deviation. Detector: the image encoder
of `phantom.json` trained with the masks and labels that its training films keep to themselves, 20x20 maps by finding and a label
each; scored on the test films of `python -m scripts phantoms cxr`, as `evaluate.json` scores them: in native pixels, and for mIoU
with maps stretched to [-1, 1].
"""

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from tqdm import tqdm

from scripts.engines.evaluators.image import SIZE_LIMITS
from scripts.metrics.localization import cnr, iou_at_thresholds, min_max, pointing_game
from scripts.networks import ImageEncoder
from scripts.phantoms.cxr.case import make_case
from scripts.phantoms.cxr.plan import LABELS
from scripts.transforms.letterbox import Letterbox
from tests.benchmarks.measure import print_table

SIZE, CELLS = 160, 20
SIZES = ("small", "medium", "large")


class Sample(NamedTuple):
    """histogram [66], film [SIZE, SIZE] uint8, labels [10], share of every map cell that each finding covers [10, CELLS, CELLS]."""

    histogram: np.ndarray
    film: np.ndarray
    labels: np.ndarray
    cover: np.ndarray


def sample(seed: int, split: str, index: int) -> Sample:
    case = make_case(seed, split, index)
    counts = np.histogram(case.film, 64, (0, 256))[0] / case.film.size
    letterbox = Letterbox(case.film.shape, SIZE)
    cover = np.zeros((len(LABELS), CELLS, CELLS), np.float16)
    for finding in case.findings:
        mask = letterbox.mask_to_network(finding.mask).astype(np.float32)
        cover[LABELS.index(finding.plan.label)] = cv2.resize(mask, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    return Sample(
        np.append(counts, [case.film.mean() / 255, case.film.std() / 255]).astype(np.float32),
        letterbox.apply(case.film),
        np.array(list(case.labels.values()), np.float32),
        cover,
    )


def gather(seed: int, split: str, count: int) -> Sample:
    """Samples of a split's first films, stacked."""
    with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        made = list(tqdm(pool.map(partial(sample, seed, split), range(count), chunksize=16), total=count, desc=split))
    return Sample(*(np.stack(column) for column in zip(*made, strict=True)))


def histogram_aucs(train: Sample, test: Sample) -> np.ndarray:
    """AUC of both classifiers for each finding, [10, 2]."""
    scores = []
    for number in range(len(LABELS)):
        models = (
            make_pipeline(StandardScaler(), LogisticRegression(max_iter=500, C=0.1)),
            HistGradientBoostingClassifier(max_iter=60, random_state=0),
        )
        guesses = [m.fit(train.histogram, train.labels[:, number]).predict_proba(test.histogram)[:, 1] for m in models]
        scores.append([roc_auc_score(test.labels[:, number], guess) for guess in guesses])
    return np.array(scores)


def network_input(films: np.ndarray) -> Tensor:
    """Films [N, SIZE, SIZE] at mean 0 and deviation 1, as `phantom.json` normalises them."""
    films = torch.from_numpy(films)[:, None].float()
    return (films - films.mean((1, 2, 3), keepdim=True)) / films.std((1, 2, 3), keepdim=True)


def detect(network: ImageEncoder, films: Tensor) -> tuple[Tensor, Tensor]:
    """Logits of labels [N, 10] and of maps [N, 10, CELLS, CELLS]: fine map plus enlarged coarse map."""
    found = network(films)
    return found.report, found.words + F.interpolate(found.sentences, (CELLS, CELLS), mode="bilinear")


def train_detector(train: Sample, epochs: int) -> ImageEncoder:
    torch.manual_seed(0)
    network = ImageEncoder("resnet18", len(LABELS), SIZE, 0.5)
    batches = len(train.film) // 32
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=epochs * batches)
    for epoch in range(epochs):
        for batch in tqdm(torch.randperm(len(train.film))[: batches * 32].view(-1, 32).numpy(), desc=f"epoch {epoch + 1}"):
            with torch.autocast("cpu", torch.bfloat16):
                labels, maps = detect(network, network_input(train.film[batch]))
            cover, truth = torch.from_numpy(train.cover[batch]).float(), torch.from_numpy(train.labels[batch])
            # Findings cover little of a film: cells inside one count more.
            loss = F.binary_cross_entropy_with_logits(maps.float(), cover, pos_weight=torch.tensor(5.0))
            loss = 10 * loss + F.binary_cross_entropy_with_logits(labels.float(), truth)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


@torch.inference_mode()
def score_detector(network: ImageEncoder, seed: int, test: Sample) -> tuple[np.ndarray, list[dict]]:
    """Label probabilities [N, 10] and, for each finding of the test films, its size and scores."""
    outputs = [detect(network, network_input(part)) for part in np.array_split(test.film, max(1, len(test.film) // 50))]
    labels, maps = (torch.cat(column) for column in zip(*outputs, strict=True))
    heat = F.interpolate(maps.sigmoid(), (SIZE, SIZE), mode="bilinear").numpy()
    rows = []
    for index in range(len(test.film)):
        case = make_case(seed, "test", index)
        letterbox = Letterbox(case.film.shape, SIZE)
        for finding in case.findings:
            native = letterbox.to_native(heat[index, LABELS.index(finding.plan.label)])
            row = {"label": finding.plan.label, "size": SIZES[int(np.searchsorted(SIZE_LIMITS, finding.mask.mean()))]}
            row |= {"pointing": pointing_game(native, finding.mask), "cnr": cnr(native, finding.mask)}
            rows.append(row | {"miou": iou_at_thresholds(min_max(native), finding.mask).mean()})
    return labels.sigmoid().numpy(), rows


def main(training: int = 3000, test: int = 400, epochs: int = 10, seed: int = 1) -> None:
    train, held_out = gather(seed, "training", training), gather(seed, "test", test)
    few = Sample(*(column[:1500] for column in train))
    flat = histogram_aucs(few, held_out)
    probabilities, rows = score_detector(train_detector(train, epochs), seed, held_out)
    aucs = [roc_auc_score(held_out.labels[:, number], probabilities[:, number]) for number in range(len(LABELS))]

    def means(some: list[dict]) -> list[str]:
        return [f"{np.mean([row[key] for row in some]):.3f}" for key in ("pointing", "cnr", "miou")] if some else ["-"] * 3

    table = [
        [label, *(f"{value:.3f}" for value in (*flat[number], aucs[number])), *means([r for r in rows if r["label"] == label])]
        for number, label in enumerate(LABELS)
    ]
    table += [[size, "", "", "", *means([row for row in rows if row["size"] == size])] for size in SIZES]
    table += [["all", *(f"{value:.3f}" for value in (*flat.mean(0), np.mean(aucs))), *means(rows)]]
    columns = ["finding", "histogram LR", "histogram GB", "detector AUC", "pointing game", "CNR", "mIoU"]
    print_table(f"{training} phantom films with masks, {epochs} epochs, {test} test films", columns, table)


if __name__ == "__main__":
    main()
