"""Loaders of cases: in their order for an evaluation, in a new order every epoch and split over ranks for a training."""

from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist
from monai.data import DataLoader

from scripts.loading.dataset import CaseDataset, EpochSampler, PassThroughCollate


class CaseLoader(DataLoader):
    """MONAI's loader over all cases in their order.

        CaseLoader(dataset, batch_size=4, num_workers=2)

    Args:
        dataset: the cases.
        batch_size: cases of a batch.
        num_workers: processes that read them; 0 for none beside this one.
        collate: joins cases into a batch; None hands them on one by one, see `PassThroughCollate`.
    """

    def __init__(
        self,
        dataset: CaseDataset,
        batch_size: int = 1,
        num_workers: int = 0,
        collate: Callable[[Sequence[dict]], dict] | None = None,
    ) -> None:
        super().__init__(dataset, num_workers, batch_size=batch_size, collate_fn=collate or PassThroughCollate())

    def over(self, records: Sequence[dict]) -> "CaseLoader":
        """The same batches, made of other records in the same way."""
        return CaseLoader(CaseDataset(records, self.dataset.transform), self.batch_size, self.num_workers, self.collate_fn)


class EpochLoader(DataLoader):
    """MONAI's loader for a training and its validation: full batches, drawn by an `EpochSampler`, the cases split over the ranks.

    The order depends on the data set's seed. Where there are fewer cases than a batch holds, all of a rank's are one batch.

    Args:
        dataset: the cases.
        batch_size: cases of a batch on each rank.
        num_workers: processes that read them; 0 for none beside this one.
        collate: joins cases into a batch.
        shuffle: a new order every epoch.
        patients_apart: whether no patient comes twice in a step, on all ranks together.
    """

    def __init__(
        self,
        dataset: CaseDataset,
        batch_size: int,
        num_workers: int,
        collate: Callable[[Sequence[dict]], dict],
        shuffle: bool = True,
        patients_apart: bool = False,
    ) -> None:
        rank, ranks = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        sampler = EpochSampler(
            dataset,
            shuffle=shuffle,
            seed=dataset.seed,
            drop_last=True,
            num_replicas=ranks,
            rank=rank,
            patients_apart=batch_size * ranks if patients_apart else 0,
        )
        super().__init__(
            dataset,
            num_workers,
            sampler=sampler,
            batch_size=min(batch_size, len(sampler)),
            drop_last=True,
            pin_memory=torch.cuda.is_available(),
            collate_fn=collate,
        )
