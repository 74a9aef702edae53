"""How hard the phantom exams are: what colour gives away of the class, and what supervision reaches (the ceiling).

    python -m tests.benchmarks.bench_nasal_phantoms

Colour: accuracy in three classes of logistic regression and of gradient boosting on mean colours and colour histograms, pooled
over an exam's images or of one region alone, trained on centres A and B, on the held-out centre C; at most .60 is asked for. The
fossa alone has no target: how dark it is shows whether it is filled, which is NPC; NOR and BH look the same there, so that
about two thirds is what can be had.
Ceiling: a small network trained on the class of single images of the nasopharynx and of the fossae, its probabilities combined
within an exam, for the whole test split, for centre C, and for the hard pairs.
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
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from tqdm import tqdm

from scripts.phantoms.nasal.case import PhantomExam, make_case
from scripts.phantoms.nasal.plan import CLASSES, SITES
from tests.benchmarks.measure import print_table, seconds

Samples = list[tuple[dict[str, np.ndarray], int]]

SIZE = 64
LOOKED_AT = ("nasopharynx", "fossa of rosenmueller")


class Sample(NamedTuple):
    """colours: see `colour_features`; images [N, SIZE, SIZE, 3] uint8 of the regions looked at and whether each is a fossa;
    label: position in CLASSES."""

    colours: dict[str, np.ndarray]
    images: np.ndarray
    fossa: np.ndarray
    label: int
    held_out: bool
    hard: bool


def colours_of(image: np.ndarray) -> np.ndarray:
    """Mean and deviation of each channel, 16 bins of each, and a joint histogram of 4 x 4 x 4 bins, [118]; black is left out."""
    inside = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) > 10
    planes = np.stack([channel[inside] for channel in cv2.split(image)])
    marginal = [np.bincount(plane >> 4, minlength=16) / plane.size for plane in planes]
    red, green, blue = planes >> 6
    joint = np.bincount((red << 4) + (green << 2) + blue, minlength=64) / red.size
    return np.concatenate([planes.mean(1) / 255, planes.std(1) / 255, *marginal, joint]).astype(np.float32)


def colour_features(case: PhantomExam) -> dict[str, np.ndarray]:
    """Colours pooled over all images, [236], and mean ones of each region looked at that is imaged, [118]."""
    colours, regions = np.stack([colours_of(image) for image in case.images]), np.array([view.region for view in case.plan.views])
    features = {"all images": np.concatenate([colours.mean(0), colours.max(0)])}
    return features | {region: colours[regions == region].mean(0) for region in LOOKED_AT if region in regions}


def sample(seed: int, split: str, index: int) -> Sample:
    case = make_case(seed, split, index)
    regions = [view.region for view in case.plan.views]
    chosen = [i for i, region in enumerate(regions) if region in LOOKED_AT]
    return Sample(
        colour_features(case),
        np.stack([_square(case.images[i]) for i in chosen]),
        np.array([regions[i] != "nasopharynx" for i in chosen]),
        CLASSES.index(case.plan.label),
        case.plan.site == SITES[-1],
        case.plan.hard,
    )


def _square(image: np.ndarray) -> np.ndarray:
    """The middle square of a frame, which holds the field of view, at SIZE x SIZE."""
    margin = (image.shape[1] - image.shape[0]) // 2
    return cv2.resize(image[:, margin : image.shape[1] - margin], (SIZE, SIZE), interpolation=cv2.INTER_AREA)


def gather(seed: int, split: str, count: int) -> list[Sample]:
    """Samples of a split's first exams."""
    with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        return list(tqdm(pool.map(partial(sample, seed, split), range(count), chunksize=8), total=count, desc=split))


def colour_accuracies(train: Samples, test: Samples) -> dict[tuple[str, str], float]:
    """Accuracy on the given exams by what is looked at and by classifier; exams without an image of the region are left out.

    Args:
        train, test: colour features of exams, and the exams' classes.
    """
    scores = {}
    for kind in ("all images", *LOOKED_AT):
        (known, truth), (asked, answers) = (
            tuple(zip(*[(some[kind], label) for some, label in exams if kind in some], strict=True)) for exams in (train, test)
        )
        models = {
            "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, C=0.05)),
            "boosting": HistGradientBoostingClassifier(max_iter=80, max_leaf_nodes=7, random_state=0),
        }
        for name, model in models.items():
            scores[kind, name] = float(model.fit(np.stack(known), truth).score(np.stack(asked), answers))
    return scores


def small_network(width: int = 24) -> nn.Sequential:
    """Image [N, 3, SIZE, SIZE] to class logits [N, 3]."""

    def block(before: int, after: int) -> list[nn.Module]:
        return [nn.Conv2d(before, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]

    layers = [*block(3, width), *block(width, 2 * width), *block(2 * width, 4 * width), *block(4 * width, 4 * width)]
    return nn.Sequential(*layers, nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Dropout(0.2), nn.Linear(16 * width, len(CLASSES)))


def network_input(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def train_ceiling(train: list[Sample], epochs: int, fossa: bool) -> nn.Sequential:
    """A network for one of the two regions."""
    torch.manual_seed(0)
    images = np.concatenate([case.images[case.fossa == fossa] for case in train])
    labels = torch.tensor([case.label for case in train for _ in range(int((case.fossa == fossa).sum()))])
    network, batches = small_network(), len(labels) // 32
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=epochs * batches)
    for epoch in range(epochs):
        for batch in tqdm(torch.randperm(len(labels))[: batches * 32].view(-1, 32), desc=f"epoch {epoch + 1}"):
            # Colour and brightness vary more than within a hospital, so that the held-out one is nothing new.
            tint = 1 + 0.25 * torch.randn(32, 3, 1, 1)
            loss = F.cross_entropy(network(network_input(images[batch.numpy()]) * tint), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


@torch.inference_mode()
def ceiling_guesses(networks: dict[bool, nn.Sequential], test: list[Sample]) -> np.ndarray:
    """Class of each exam: log probabilities are averaged over the images of a region and added over regions."""
    guesses = []
    for case in test:
        parts = [(fossa, case.images[case.fossa == fossa]) for fossa in networks]
        logits = [networks[fossa](network_input(images)).log_softmax(-1).mean(0) for fossa, images in parts if len(images)]
        guesses.append(int(torch.stack(logits).sum(0).argmax()))
    return np.array(guesses)


def main(training: int = 1200, test: int = 600, epochs: int = 12, seed: int = 1) -> None:
    train, asked = gather(seed, "training", training), gather(seed, "test", test)
    held_out = [case for case in asked if case.held_out]
    colour = colour_accuracies(*([(case.colours, case.label) for case in cases] for cases in (train, held_out)))
    networks = {fossa: train_ceiling(train, epochs, fossa) for fossa in (False, True)}
    right = ceiling_guesses(networks, asked) == [case.label for case in asked]
    groups = {"all sites": np.full(len(asked), True), SITES[-1]: np.array([case.held_out for case in asked])}
    groups |= {"hard pairs": np.array([case.hard for case in asked]), "others": np.array([not case.hard for case in asked])}
    rows = [
        [f"colour of {kind}, {model}", SITES[-1], f"{score:.3f}", "" if kind == LOOKED_AT[1] else "<= .60"]
        for (kind, model), score in colour.items()
    ]
    rows += [["small network", name, f"{right[group].mean():.3f}", ""] for name, group in groups.items()]
    pace = 20 / seconds({"draw": lambda: [make_case(seed, "training", index) for index in range(20)]}, repeats=3)["draw"]
    rows.append(["exams drawn a second, one process", "", f"{pace:.1f}", ">= 15"])
    title = f"{training} phantom exams with labels, {epochs} epochs, {test} test exams, {len(held_out)} of {SITES[-1]}"
    print_table(title, ["classifier", "exams", "accuracy in 3 classes", "target"], rows)


if __name__ == "__main__":
    main()
