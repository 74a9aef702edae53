"""Heat maps of 20 prompts on one film, and reading that film.

    python -m tests.benchmarks prompts

"ours" encodes the film once and the prompts together, "plain" film and prompt anew for every prompt, padded to 97 tokens as the
published code does; "short" is the same without padding. All by `PhraseLocalizer`, whose memory of prompts starts empty in every
run. ResNet-50, BERT-base, random weights.
"""

import tempfile
from pathlib import Path

import cv2
import torch

from scripts.inferers.phrase_localizer import PhraseLocalizer
from scripts.phantoms.cxr.case import make_case
from scripts.readers.film import read_film
from scripts.reports.tokens.text_models import train_text_model
from scripts.reports.tokens.tokenizers import ReportTokenizer
from scripts.transforms.letterbox import Letterbox
from tests.benchmarks.measure import print_table, seconds
from tests.benchmarks.paper_size import BERT_BASE, make_films, make_network

PROMPTS = [
    f"{finding} in the {side} {zone} lung zone"
    for finding in ("patchy opacity", "dense consolidation", "small pleural effusion", "linear atelectasis", "nodule")
    for side in ("right", "left")
    for zone in ("upper", "lower")
]


def make_localizations(prompts: list[str], resnet: str, bert: dict[str, int], folder: Path) -> dict:
    """Three ways from one letterboxed film to heat maps [1, P, 224, 224]."""
    network = make_network(resnet, bert)
    text_model = train_text_model(prompts, folder / "text")
    film = make_films(1)

    def localize(phrases: list[str], pad_to_max: bool = False) -> torch.Tensor:
        localizer = PhraseLocalizer(network, ReportTokenizer(text_model, pad_to_max=pad_to_max))
        return localizer.heat_maps(localizer.encode_films(film), localizer.encode_phrases(phrases))

    return {
        "ours": lambda: localize(prompts),
        "plain": lambda: torch.cat([localize([prompt], pad_to_max=True) for prompt in prompts], dim=1),
        "short": lambda: torch.cat([localize([prompt]) for prompt in prompts], dim=1),
    }


def write_film(path: Path, width: int = 1280, height: int = 1024) -> Path:
    """A phantom film enlarged, as JPEG."""
    film = cv2.resize(make_case(1, "test", 0).film, (width, height), interpolation=cv2.INTER_CUBIC)
    if not cv2.imwrite(str(path), film, [cv2.IMWRITE_JPEG_QUALITY, 95]):
        raise OSError(f"{path} cannot be written")
    return path


def read_and_letterbox(path: Path) -> None:
    film = read_film(path)
    Letterbox(film.shape, 224).apply(film)


def main(prompts: list[str] = PROMPTS, resnet: str = "resnet50", bert: dict[str, int] = BERT_BASE, repeats: int = 5) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        times = seconds(make_localizations(prompts, resnet, bert, folder), repeats)
        film = write_film(folder / "film.jpg")
        times |= seconds({"read": lambda: read_and_letterbox(film)}, 20)
    count = len(prompts)
    rows = [
        [f"ours: film once, {count} prompts together", f"{times['ours']:.3f}", "", ""],
        [
            f"plain: film and prompt anew, {count} times",
            f"{times['plain']:.3f}",
            f"{times['plain'] / times['ours']:.1f}x",
            ">= 10x" if count == 20 else "",
        ],
        ["short: the same without padding", f"{times['short']:.3f}", f"{times['short'] / times['ours']:.1f}x", ""],
        ["read and letterbox a 1280x1024 JPEG film", f"{times['read']:.4f}", "", ""],
    ]
    title = f"{count} prompts on one film, {resnet}, BERT of {bert['num_hidden_layers']} layers"
    print_table(title, ("what", "seconds", "speed-up by ours", "target"), rows)


if __name__ == "__main__":
    main()
