"""Loaders: all cases in their order; full batches in a new order every epoch, the cases split over ranks."""

import torch
import torch.distributed as dist

from scripts.loading import CaseDataset, CaseLoader, EpochLoader, records_with, repeated

CASES = [{"study_id": f"s{index}", "patient_id": f"p{index // 2}"} for index in range(10)]


def names(loader):
    return [batch["names"] for batch in loader]


def collate(items):
    return {"names": [item["case_id"] for item in items]}


def dataset(seed=1):
    return CaseDataset(CASES, lambda case: case, seed=seed)


def test_all_cases_come_in_their_order():
    batches = list(CaseLoader(dataset(), batch_size=4))
    assert [batch["case_ids"] for batch in batches] == [[f"s{i}" for i in part] for part in (range(4), range(4, 8), range(8, 10))]
    assert batches[0]["cases"][1]["record"] == CASES[1]


def test_the_same_batches_of_other_records():
    loader = CaseLoader(dataset(), batch_size=2, collate=collate)
    assert names(loader.over(CASES[5:8])) == [["s5", "s6"], ["s7"]]
    assert loader.over(CASES[:1]).dataset.transform is loader.dataset.transform


def test_an_epoch_has_full_batches_in_an_order_of_its_seed():
    loader = EpochLoader(dataset(), 4, 0, collate)
    first = names(loader)
    assert [len(batch) for batch in first] == [4, 4] and names(loader) == first  # the same epoch
    loader.sampler.set_epoch(1)
    assert names(loader) != first
    assert names(EpochLoader(dataset(seed=2), 4, 0, collate)) != first
    assert names(EpochLoader(dataset(), 4, 0, collate, shuffle=False)) == [["s0", "s1", "s2", "s3"], ["s4", "s5", "s6", "s7"]]


def test_fewer_cases_than_a_batch_holds_are_one_batch():
    assert [len(batch) for batch in names(EpochLoader(dataset(), 64, 0, collate))] == [10]


def test_patients_are_kept_apart_within_a_step():
    patients = {case["study_id"]: case["patient_id"] for case in CASES}
    together = [len({patients[name] for name in batch}) for batch in names(EpochLoader(dataset(), 5, 0, collate, shuffle=False))]
    apart = EpochLoader(dataset(), 5, 0, collate, shuffle=False, patients_apart=True)
    assert together == [3, 3] and [len({patients[name] for name in batch}) for batch in names(apart)] == [5, 5]


def test_ranks_share_the_cases(monkeypatch):
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    seen = []
    for rank in (0, 1):
        monkeypatch.setattr(dist, "get_rank", lambda rank=rank: rank)
        seen.append({name for batch in names(EpochLoader(dataset(), 5, 0, collate)) for name in batch})
        assert EpochLoader(dataset(), 3, 0, collate, patients_apart=True).sampler.patients_apart == 6
    assert not seen[0] & seen[1] and len(seen[0] | seen[1]) == 10


def test_pictures_are_pinned_where_there_is_a_gpu():
    assert EpochLoader(dataset(), 2, 0, collate).pin_memory == torch.cuda.is_available()


def test_records_that_hold_something_and_records_repeated():
    records = [{"report": "Clear."}, {"report": ""}, {}]
    assert records_with(records, "report") == records[:1]
    assert [len(repeated(CASES[:3], least)) for least in (0, 3, 4, 7)] == [3, 3, 6, 9]
