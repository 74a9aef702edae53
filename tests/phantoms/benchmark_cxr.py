"""How hard the phantom films are, in full: run by hand, asserts nothing.

    PYTHONPATH=. python tests/phantoms/benchmark_cxr.py --training 4000 --test 800 --epochs 8

prints, for each finding, the AUC that a film's grey histogram reaches (logistic regression and gradient boosting on 64
bins, mean and standard deviation; 1,500 films to learn from, 500 to judge by) and the AUC of a half-width ResNet-18
trained with the labels on films of 160 px: what a network could learn from these films with supervision.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import cv2
import numpy as np
import torch
from monai.networks.nets.resnet import ResNet
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import binary_cross_entropy_with_logits
from tqdm import tqdm

from scripts.phantoms.cxr_case import make_case
from scripts.phantoms.cxr_plan import LABELS

SIZE = 160


def sample(seed: int, split: str, index: int) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Histogram features [66], film letterboxed to SIZE, labels of one case."""
    case = make_case(seed, split, index)
    film = case.film
    counts = np.histogram(film, 64, (0, 256))[0] / film.size
    features = np.concatenate([counts, [film.mean() / 255, film.std() / 255]]).astype(np.float32)
    scale = SIZE / max(film.shape)
    small = cv2.resize(film, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:SIZE, :SIZE]
    square = np.zeros((SIZE, SIZE), np.uint8)
    top, left = ((SIZE - n) // 2 for n in small.shape)
    square[top : top + small.shape[0], left : left + small.shape[1]] = small
    return features, square, list(case.labels.values())


def gather(seed: int, split: str, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    with ProcessPoolExecutor(initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        made = list(tqdm(pool.map(partial(sample, seed, split), range(count), chunksize=16), total=count, desc=split))
    return tuple(np.array(column) for column in zip(*made, strict=True))


def histogram_aucs(train, test) -> dict[str, tuple[float, float]]:
    """AUC of logistic regression and gradient boosting on grey histograms, for each finding."""
    scores = {}
    for number, label in enumerate(LABELS):
        models = (
            make_pipeline(StandardScaler(), LogisticRegression(max_iter=500, C=0.1)),
            HistGradientBoostingClassifier(max_iter=60, random_state=0),
        )
        guesses = [m.fit(train[0], train[2][:, number]).predict_proba(test[0])[:, 1] for m in models]
        scores[label] = tuple(roc_auc_score(test[2][:, number], guess) for guess in guesses)
    return scores


def standardise(films: torch.Tensor) -> torch.Tensor:
    films = films[:, None].float() / 255
    return (films - films.mean((1, 2, 3), keepdim=True)) / (films.std((1, 2, 3), keepdim=True) + 1e-3)


def supervised_aucs(train, test, epochs: int) -> dict[str, float]:
    """AUC of a small residual network trained with labels, for each finding."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    network = ResNet("basic", [2, 2, 2, 2], [32, 64, 128, 256], 2, 1, 7, 2, num_classes=len(LABELS)).to(
        memory_format=torch.channels_last
    )
    films, labels = torch.from_numpy(train[1]), torch.from_numpy(train[2]).float()
    batches = len(films) // 32
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=epochs * batches)
    for epoch in range(epochs):
        for batch in tqdm(torch.randperm(len(films))[: batches * 32].view(-1, 32), desc=f"epoch {epoch + 1}"):
            shift = tuple(int(n) for n in rng.integers(-8, 9, 2))
            inputs = torch.roll(standardise(films[batch]), shift, (2, 3))
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                logits = network(inputs)
            binary_cross_entropy_with_logits(logits.float(), labels[batch]).backward()
            optimizer.step()
            schedule.step()
    network.eval()
    with torch.no_grad():
        guess = torch.cat([network(standardise(part)) for part in torch.from_numpy(test[1]).split(100)]).numpy()
    return {label: roc_auc_score(test[2][:, number], guess[:, number]) for number, label in enumerate(LABELS)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--training", type=int, default=4000)
    parser.add_argument("--test", type=int, default=800)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    train, test = gather(options.seed, "training", options.training), gather(options.seed, "test", options.test)
    flat = histogram_aucs([a[:1500] for a in train], [a[:500] for a in test])
    learned = supervised_aucs(train, test, options.epochs)
    print(f"{'finding':20s} {'histogram LR':>12s} {'histogram GB':>12s} {'ResNet':>8s}")
    for label in LABELS:
        print(f"{label:20s} {flat[label][0]:12.3f} {flat[label][1]:12.3f} {learned[label]:8.3f}")
    print(f"{'mean':20s} {'':12s} {'':12s} {np.mean(list(learned.values())):8.3f}")


if __name__ == "__main__":
    main()
