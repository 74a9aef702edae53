"""A small AFLoc training on films made here, for tests that need a run and not a result.

`python -m tests.small_afloc FOLDER [resume]` runs it in a process of its own, which a test may kill.
"""

import random
import sys
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from ignite.engine import Engine, Events
from ignite.metrics import Average
from monai.handlers import LrScheduleHandler, ValidationHandler
from monai.transforms import RandGaussianNoised
from torch.utils.data import DataLoader

from scripts.engines import VisionLanguageEvaluator, VisionLanguageTrainer
from scripts.handlers import CheckpointHandler
from scripts.loading.dataset import CaseDataset, EpochSampler
from scripts.loading.image_batches import ImageCollate
from scripts.losses import AFLocLoss
from scripts.metrics import RetrievalRecall
from scripts.networks import AFLoc, ImageEncoder, TextEncoder
from scripts.reports.tokens.text_models import train_text_model
from scripts.reports.tokens.tokenizers import ReportTokenizer
from scripts.transforms import Letterboxd, LoadDomainImaged, NormalizeHalfd
from scripts.transforms.captions import Captiond

CASES, BATCH_SIZE, EPOCH_LENGTH, EPOCHS = 16, 4, 4, 3
SIDES, FINDINGS = ("left", "right"), ("effusion", "opacity", "nodule", "pneumothorax", "edema", "mass", "cyst", "scar")


class Run(NamedTuple):
    """A training before its start. trace: (iteration, loss) as they come; validations: (epoch, loss)."""

    trainer: VisionLanguageTrainer
    evaluator: VisionLanguageEvaluator
    network: AFLoc
    optimizer: torch.optim.Optimizer
    lr_scheduler: torch.optim.lr_scheduler.LRScheduler
    checkpoints: CheckpointHandler
    trace: list[tuple[int, float]]
    validations: list[tuple[int, float]]


def report(number: int) -> str:
    side, finding = SIDES[number % 2], FINDINGS[number // 2 % 8]
    return f"There is a {side} {finding}. Heart size is normal. Case {number} of many."


def write_cases(folder: Path, count: int = CASES) -> list[dict]:
    """Films of noise on a slope, each with its own bright spot, and their records."""
    generator = np.random.default_rng(4)
    records = []
    for number in range(count):
        film = np.linspace(40, 120, 40)[:, None] + generator.normal(0, 12, (40, 36))
        cv2.circle(film, tuple(generator.integers(6, 30, 2).tolist()), 3 + number % 4, 230.0, -1)
        path = folder / f"film{number}.png"
        cv2.imwrite(str(path), film.clip(0, 255).astype(np.uint8))
        records.append({"study_id": f"s{number}", "patient_id": f"p{number}", "image": str(path), "report": report(number)})
    return records


def write_text_model(folder: Path) -> Path:
    reports = [report(number) for number in range(CASES)]
    return train_text_model(reports, folder, hidden_size=16, layers=3, heads=2, dropout=0.1)


def new_network(text_model: Path, input_size: int = 32) -> AFLoc:
    return AFLoc(ImageEncoder("resnet18", 16, input_size, 0.125), TextEncoder(str(text_model), pretrained=False))


def reading() -> list:
    return [LoadDomainImaged("image", "cxr"), Letterboxd("image", 32), NormalizeHalfd("image")]


def new_run(
    folder: Path,
    seed: int = 3,
    epochs: int = EPOCHS,
    batch_size: int = BATCH_SIZE,
    workers: int = 0,
    accumulation_steps: int = 1,
    **checkpoint_options,
) -> Run:
    """A run whose films, text model and checkpoints stand in `folder`; random but for `seed`."""
    records = write_cases(folder)
    text_model = write_text_model(folder / "text")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    network = new_network(text_model)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
    lr_scheduler = torch.optim.lr_scheduler.ChainedScheduler(
        [
            torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.2, total_iters=5),
            torch.optim.lr_scheduler.StepLR(optimizer, step_size=EPOCH_LENGTH, gamma=0.7),
        ]
    )
    collate = ImageCollate(ReportTokenizer(text_model))

    def loader(transforms: list, shuffle: bool) -> DataLoader:
        dataset = CaseDataset(records, transforms, seed=1, replace_rejected=True)
        sampler = EpochSampler(dataset, shuffle=shuffle, seed=1, drop_last=True)
        options = {"sampler": sampler, "drop_last": True, "num_workers": workers, "collate_fn": collate}
        return DataLoader(dataset, batch_size, **options)

    noise = RandGaussianNoised("image", prob=0.5, std=0.2)
    shared = {"device": "cpu", "network": network, "loss_function": AFLocLoss()}
    trace, validations = [], []
    evaluator = VisionLanguageEvaluator(
        val_data_loader=loader([*reading(), Captiond()], shuffle=False),
        key_val_metric={"recall_at_1": RetrievalRecall(1)},
        additional_metrics={"loss": Average(output_transform=lambda output: output["loss"])},
        **shared,
    )
    checkpoints = CheckpointHandler(
        folder / "run", network, optimizer, lr_scheduler, evaluator, "loss", mode="min", **checkpoint_options
    )
    trainer = VisionLanguageTrainer(
        max_epochs=epochs,
        train_data_loader=loader([*reading(), noise, Captiond(full_report_chance=0.2)], shuffle=True),
        optimizer=optimizer,
        train_handlers=[
            ValidationHandler(1, evaluator),
            LrScheduleHandler(lr_scheduler, print_lr=False, epoch_level=False),
            checkpoints,
        ],
        clip_grad_norm=1.0,
        accumulation_steps=accumulation_steps,
        **shared,
    )

    def traced(engine: Engine) -> None:
        trace.append((engine.state.iteration, engine.state.output["loss"]))

    def validated(engine: Engine) -> None:
        validations.append((engine.state.epoch, engine.state.metrics["loss"]))

    trainer.add_event_handler(Events.ITERATION_COMPLETED, traced)
    evaluator.add_event_handler(Events.COMPLETED, validated)
    return Run(trainer, evaluator, network, optimizer, lr_scheduler, checkpoints, trace, validations)


def main(folder: Path, resume: bool) -> None:
    """Train and print "iteration loss" lines as they come."""
    run = new_run(folder, epochs=10, every_iterations=3, resume=resume)
    run.trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: print(*run.trace[-1], flush=True))
    run.trainer.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), "resume" in sys.argv[2:])
