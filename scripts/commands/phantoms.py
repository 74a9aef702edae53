"""The verb that draws synthetic cases."""

import importlib
import pkgutil

from scripts import phantoms
from scripts.commands.command_line import check_paths, known, whole

DOMAINS = tuple(info.name for info in pkgutil.iter_modules(phantoms.__path__) if info.ispkg and info.name != "common")
"""Domains that have phantoms: each a package of `scripts.phantoms`."""


def phantoms_command(
    domain: str,
    *,
    output: str,
    training: int | None = None,
    validation: int | None = None,
    test: int | None = None,
    seed: int = 1,
    workers: int | None = None,
) -> None:
    """Draw synthetic cases with reports and ground truth, and their datalist: no data set and no permission needed.

    Domains: ct, cxr, nasal. CT volumes come as a hospital has them, with masks and whole reports: `preprocess-ct` comes next.
    Without numbers: 3,000 + 300 + 400 films, 2,000 + 100 + 300 volumes, 2,000 + 200 + 400 exams.

    Examples:
        python -m scripts phantoms cxr --output data/phantom_cxr
        python -m scripts phantoms ct --output data/phantom_ct_raw --training 1500
        python -m scripts phantoms nasal --output data/phantom_nasal
        python -m scripts phantoms cxr --output /tmp/few --training 20 --validation 4 --test 4 --seed 7

    Args:
        domain: what to draw.
        output: folder for datalist.json and the images.
        training: cases to train on.
        validation: cases to choose checkpoints by.
        test: cases to judge by.
        seed: the same seed draws the same cases.
        workers: processes; by default one a processor.
    """
    known("domain", domain, DOMAINS)
    check_paths(output=output)
    numbers = {"training": training, "validation": validation, "test": test, "seed": seed}
    numbers = {name: whole(name, value, least=0) for name, value in numbers.items() if value is not None}
    processes = whole("workers", workers, least=1)
    write_phantoms = importlib.import_module(f"scripts.phantoms.{domain}").write_phantoms
    print(f"wrote {write_phantoms(output, **numbers, workers=processes)}")
