"""What is wrong with the files that a datalist names: each image and mask is opened and held against its record."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from scripts.cases.domain import DomainError
from scripts.cases.kind import KINDS
from scripts.datalists.files import exam, image, volume
from scripts.datalists.form import domain_of, records_of
from scripts.files.faults import Fault
from scripts.files.validation import ErrorCollector

CHECKS = {"image": image.check_files, "exam": exam.check_files, "volume": volume.check_files}
"""What opens the files of a record, by the kind of case."""


def file_faults(path: str | Path, content: dict, workers: int | None = None, progress: bool = True) -> list[Fault]:
    """Open every image and mask of a datalist and list what is wrong, in the order of the records.

    Records may have faults of form; what cannot be looked at because of them is passed over.

    Args:
        path: the datalist; relative paths start at its folder.
        content: its JSON.
        workers: records looked at at a time; by default one a processor, at most 16. They are threads, because decoders
            release Python's lock.
        progress: show a bar when standard error is a terminal.
    """
    try:
        domain = domain_of(path, content)
    except DomainError:
        return []  # noted as a fault of form; what its images look like is not known
    kind = KINDS[domain.kind]
    folder = Path(path).absolute().parent
    records = [(split, name, record) for split, name, record in records_of(content, kind) if isinstance(record, dict)]

    def faults_of(entry: tuple[str, str, dict]) -> list[Fault]:
        split, name, record = entry
        notes = ErrorCollector(str(path), split, name)
        CHECKS[kind.name](notes, folder, record, domain)
        return notes.faults

    pool = ThreadPoolExecutor(workers or min(os.cpu_count() or 1, 16))
    try:
        bar = tqdm(total=len(records), desc="opening files", unit="case", disable=None if progress else True)
        with bar:
            faults: list[Fault] = []
            for found in pool.map(faults_of, records):
                faults += found
                bar.update()
        return faults
    finally:
        pool.shutdown(cancel_futures=True)  # on an interrupt, do not read the rest first
