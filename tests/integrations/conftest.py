"""A real Label Studio, its client, and small predictions to review."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import cv2
import numpy as np
import pytest
from label_studio_sdk import LabelStudio

from integrations.label_studio.client import connect
from integrations.label_studio.server.process import running
from integrations.label_studio.workspace import Workspace
from scripts.cases.finding import Finding
from scripts.datalists.datalist import save_datalist
from scripts.predictions.predictions import PredictionWriter

MODEL = {"bundle": "test_bundle", "version": "0.1.0", "checkpoint_sha256": "a" * 64, "mlflow_run_id": None}


@pytest.fixture(scope="session")
def workspace(tmp_path_factory) -> Workspace:
    """Working folder of the session's server."""
    return Workspace(tmp_path_factory.mktemp("label_studio"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def server(workspace) -> Iterator[str]:
    """Address of a real Label Studio, installed into its own environment at first use."""
    with running(workspace, free_port()) as url:
        yield url


@pytest.fixture(scope="session")
def client(workspace, server) -> LabelStudio:
    return connect(workspace, server)


@pytest.fixture
def project() -> str:
    """A project's name of the test's own."""
    return f"test-{uuid4().hex[:12]}"


def blob(height: int, width: int, seed: int) -> np.ndarray:
    """An irregular mask [H, W] with an edge pixel and a hole."""
    random = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.uint8)
    centre = (int(width * random.uniform(0.3, 0.7)), int(height * random.uniform(0.3, 0.7)))
    cv2.ellipse(mask, centre, (width // 5, height // 7), float(random.uniform(0, 180)), 0, 360, 1, -1)
    mask[centre[1], centre[0]] = 0
    mask[0, width - 1] = 1
    return mask.astype(bool)


def box_around(mask: np.ndarray) -> list[int]:
    rows, columns = np.nonzero(mask)
    return [int(columns.min()), int(rows.min()), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1]


@pytest.fixture
def films(tmp_path) -> Callable[..., Path]:
    """Writes predictions of films of given sizes (height, width) and their datalist; gives the folder.

    Each film has a Mass with mask and box, and an Effusion that is absent; confidences rise with the film's number.
    """

    def write(sizes: list[tuple[int, int]], model: dict[str, Any] | None = None, name: str = "films", seed: int = 0) -> Path:
        folder = tmp_path / name
        records = []
        with PredictionWriter(folder, "cxr", model or MODEL) as writer:
            for number, (height, width) in enumerate(sizes):
                image = tmp_path / f"film{number}.png"
                if not image.is_file():
                    noise = np.random.default_rng(number).integers(0, 255, (height, width), dtype=np.uint8)
                    cv2.imwrite(str(image), noise)
                mask = blob(height, width, number + seed)
                confidence = (number + 1) / (len(sizes) + 1)
                mass = Finding("Mass", "round mass", None, 0.9, confidence, 0, box=box_around(mask), mask=mask)
                absent = Finding("Effusion", "pleural effusion", None, 0.1, 0.99, 0)
                writer.add(f"study {number}", [image], [mass, absent])
                report = f"A round mass is seen, number {number}. No effusion."
                records.append({"study_id": f"study {number}", "patient_id": f"p{number}", "image": str(image), "report": report})
        save_datalist(folder / "datalist.json", "cxr", {"training": records})
        return folder

    return write


@pytest.fixture
def exams(tmp_path) -> Callable[[int], Path]:
    """Writes predictions of exams of three images each of another size, and their datalist; gives the folder."""

    def write(count: int) -> Path:
        folder, records = tmp_path / "exams", []
        sizes = [(61, 83), (120, 97), (75, 75)]
        with PredictionWriter(folder, "nasal", MODEL) as writer:
            for number in range(count):
                images = []
                for index, (height, width) in enumerate(sizes):
                    images.append(tmp_path / f"exam{number}_{index}.png")
                    noise = np.random.default_rng(index).integers(0, 255, (height, width, 3), dtype=np.uint8)
                    cv2.imwrite(str(images[-1]), noise)
                classes = [
                    Finding(name, probability=probability, confidence=0.7)
                    for name, probability in (("NOR", 0.2), ("BH", 0.1), ("NPC", 0.7))
                ]
                masks = {1: blob(120, 97, number), 2: blob(75, 75, number)}
                marked = [
                    Finding("NPC", probability=0.7, confidence=0.6, image_index=index, box=box_around(mask), mask=mask)
                    for index, mask in masks.items()
                ]
                writer.add(f"exam {number}", images, classes + marked)
                record = {"exam_id": f"exam {number}", "patient_id": f"p{number}", "images": [str(image) for image in images]}
                record["report"] = "A bulging mass of the nasopharynx."
                records.append(record)
        save_datalist(folder / "datalist.json", "nasal", {"training": records})
        return folder

    return write
