"""A data set whose every item depends on (seed, epoch, case) alone, and that sets failing cases aside."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from typing import Any

import numpy as np
import torch
from monai.transforms import Compose
from torch.utils.data import Dataset, DistributedSampler

from scripts.cases.kind import case_id
from scripts.files.errors import UserError


class CaseDataset(Dataset):
    """Datalist records passed through transforms, the random ones seeded by (seed, epoch, case).

    So neither the number of workers nor an interruption changes what a network sees. `EpochSampler` gives the index; it holds the
    epoch too (epoch * len + case), because workers copy the data set and would not learn of a new epoch otherwise.

    A case whose transforms fail does not end the run: its id and reason travel with the batch under "rejected", for
    `scripts.handlers.RejectionHandler` to write down.

    Args:
        data: datalist records.
        transform: MONAI transform of one record (a dict).
        seed: base of the random transforms' seeds.
        replace_rejected: give the next good case in place of a failing one, so that batches keep their size on every rank
            (training); False gives an item that holds nothing but the rejection (evaluation).

    Raises:
        ValueError: no records; `RuntimeError` when every case fails.
    """

    def __init__(self, data: Sequence[dict], transform: Callable, seed: int = 0, replace_rejected: bool = False) -> None:
        if not len(data):
            raise ValueError("the data set holds no case: is this split of the datalist empty?")
        self.data = list(data)
        self.transform = transform if isinstance(transform, Compose) else Compose(transform)
        self.seed = seed
        self.replace_rejected = replace_rejected

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> dict[str, Any]:
        epoch, case = divmod(index, len(self.data))
        rejected = []
        for step in range(len(self.data) if self.replace_rejected else 1):
            record = self.data[(case + step) % len(self.data)]
            seeds = np.random.SeedSequence((self.seed, epoch, case))
            self.transform.set_random_state(seed=int(seeds.generate_state(1)[0]))
            try:
                item = self.transform(dict(record))
            except Exception as error:  # whatever one case's files do, the run goes on; the reason is kept
                rejected.append((case_id(record), _root_reason(error)))
                continue
            return {**item, "record": record, "case_id": case_id(record), "rejected": rejected}
        if self.replace_rejected:
            raise RuntimeError(f"all {len(self.data)} cases failed; the first: {rejected[0][0]}: {rejected[0][1]}")
        return {"rejected": rejected}


def split_rejected(items: Sequence[dict]) -> tuple[list[dict], dict[str, Any]]:
    """What every collate begins with: the good ones of a `CaseDataset`'s items, and what a batch says of them and of the others.

    Returns:
        items that hold a case; {"case_ids": theirs, "rejected": [(case id, reason), ...] of all}.
    """
    good = [item for item in items if "case_id" in item]
    rejected = [reason for item in items for reason in item["rejected"]]
    return good, {"case_ids": [item["case_id"] for item in good], "rejected": rejected}


class PassThroughCollate:
    """What an evaluation or inference joins cases with: hand them on one by one, because they differ in size or number of images.

    Returns (when called): cases (items as the transforms made them, with record and case_id), case_ids, rejected.
    """

    def __call__(self, items: Sequence[dict]) -> dict[str, Any]:
        cases, batch = split_rejected(items)
        return {"cases": cases, **batch}


class EpochSampler(DistributedSampler):
    """Indices for `CaseDataset` in an order that depends on (seed, epoch) alone, split over ranks.

    Args:
        dataset: the data set.
        shuffle: a new order every epoch.
        seed: base of the order's seed.
        drop_last: leave out cases that do not fill all ranks.
        num_replicas, rank: processes and this one's number; 1 and 0 without torch.distributed.
        patients_apart: cases of a step, on all ranks together, among which no patient comes twice, see `patients_kept_apart`; a
            contrast would take one of two cases of a patient for something else than the other. 0: the order is left as it is.
    """

    def __init__(
        self,
        dataset: CaseDataset,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
        num_replicas: int = 1,
        rank: int = 0,
        patients_apart: int = 0,
    ) -> None:
        super().__init__(dataset, num_replicas=num_replicas, rank=rank, shuffle=shuffle, seed=seed, drop_last=drop_last)
        self.patients_apart = patients_apart
        self._skip = 0

    def skip_next(self, count: int) -> None:
        """Leave out the first `count` indices of the next epoch only: those an interrupted run had already seen."""
        self._skip = count

    def __iter__(self) -> Iterator[int]:
        skip, self._skip = self._skip, 0
        cases = len(self.dataset)
        order = list(range(cases))
        if self.shuffle:
            order = torch.randperm(cases, generator=torch.Generator().manual_seed(self.seed + self.epoch)).tolist()
        if self.patients_apart:
            order = patients_kept_apart(order, [record["patient_id"] for record in self.dataset.data], self.patients_apart)
        own = islice(cycle(order), self.rank, self.total_size, self.num_replicas)
        return iter([self.epoch * cases + index for index in own][skip:])


def patients_kept_apart(order: Sequence[int], patients: Sequence[str], size: int) -> list[int]:
    """The same cases in nearly the same order, no patient twice in a step: who would be waits for the next one.

    Args:
        order: numbers of cases.
        patients: of the cases, by number.
        size: cases of a step.

    Returns:
        the numbers; past the last step that can be filled so, those that are left as they come.
    """
    kept: list[int] = []
    ahead = deque(order)
    while ahead:
        step: dict[str, int] = {}
        waiting = []
        while ahead and len(step) < size:
            case = ahead.popleft()
            if step.setdefault(patients[case], case) != case:
                waiting.append(case)
        kept += step.values()
        if not ahead:
            return kept + waiting
        ahead.extendleft(reversed(waiting))
    return kept


def _root_reason(error: BaseException) -> str:
    """The innermost error's words: MONAI wraps the cause in lines about the transform.

    An error of ours is the end of the search: it names the file, which the library error below it does not.
    """
    while error.__cause__ is not None and not isinstance(error, UserError):
        error = error.__cause__
    return f"{type(error).__name__}: {error}"
