from itertools import chain

import numpy as np
import pytest
import torch
from monai.transforms import MapTransform, RandGaussianNoised, Randomizable
from torch.utils.data import DataLoader

from scripts.files.errors import UserError
from scripts.loading.dataset import CaseDataset, EpochSampler, patients_kept_apart


class NumberToImaged(MapTransform):
    """The record's number as a tiny image; negative ones fail as a reader does, with a library's error below."""

    def __call__(self, data):
        if data["image"] < 0:
            try:
                raise OSError("image file is truncated")
            except OSError as error:
                raise self.failure(data["study_id"]) from error
        return {**data, "image": torch.full((1, 4), float(data["image"]))}

    def failure(self, name):
        return UserError(f"{name}.png: is cut short")


class FailsBelow(NumberToImaged):
    def failure(self, name):
        return RuntimeError(f"stage of {name} failed")


class RandKeepTwod(MapTransform, Randomizable):
    """A random choice kept beside the image: a second random transform, which must not repeat the first's numbers."""

    def __call__(self, data):
        return {**data, "choice": self.R.permutation(1000)[:2].tolist()}


def records(numbers):
    return [{"study_id": f"s{index}", "patient_id": f"p{index}", "image": n} for index, n in enumerate(numbers)]


def dataset(numbers=range(10), seed=5, reader=NumberToImaged, **options):
    noise = RandGaussianNoised("image", prob=1.0, std=1.0)
    return CaseDataset(records(numbers), [reader("image"), noise, RandKeepTwod("image")], seed=seed, **options)


def same(a, b):
    return a["case_id"] == b["case_id"] and torch.equal(a["image"], b["image"]) and a["choice"] == b["choice"]


def by_case(items):
    return {item["case_id"]: item for item in items}


def test_an_item_depends_on_seed_epoch_and_case_alone():
    data = dataset()
    forward = [data[20 + index] for index in range(10)]
    torch.manual_seed(77)
    np.random.seed(77)
    other = dataset()
    backward = [other[20 + index] for index in reversed(range(10))][::-1]
    assert all(map(same, forward, backward))
    assert forward[0]["record"] == data.data[0] and forward[0]["rejected"] == []

    def draws(items):
        return [tuple(item["choice"]) for item in items]

    kinds = draws(forward) + draws(data[30 + index] for index in range(10))
    kinds += draws(dataset(seed=6)[20 + index] for index in range(10))
    assert len(set(kinds)) == 30  # another epoch, case or seed draws anew
    noises = [float(item["image"][0, 0]) - index for index, item in enumerate(forward)]
    assert len(set(noises)) == 10


def test_the_number_of_workers_changes_nothing():
    def epoch(workers, number):
        data = dataset()
        sampler = EpochSampler(data, seed=5)
        loader = DataLoader(data, batch_size=None, sampler=sampler, num_workers=workers)
        sampler.set_epoch(1)
        list(loader)  # a worker has another past in the second epoch
        sampler.set_epoch(number)
        return list(loader)

    alone, two = epoch(0, 2), epoch(2, 2)
    assert all(map(same, alone, two)) and len(by_case(alone)) == 10
    direct = dataset()
    assert all(same(item, direct[20 + int(item["case_id"][1:])]) for item in two)


def test_training_replaces_a_failing_case_and_says_why():
    data = dataset([0, -1, -1, 3], replace_rejected=True)
    item = data[1]
    assert item["case_id"] == "s3" and float(item["image"].mean()) == pytest.approx(3, abs=2)
    # The error that names the file, neither MONAI's lines around it nor the library's words below it.
    assert item["rejected"] == [(name, f"UserError: {name}.png: is cut short") for name in ("s1", "s2")]
    assert data[0]["case_id"] == "s0" and data[0]["rejected"] == []
    assert dataset([0, 1, -1], replace_rejected=True)[2]["case_id"] == "s0"  # on from the beginning
    assert same(data[1], dataset([0, -1, -1, 3], replace_rejected=True)[1])


def test_the_reason_is_the_innermost_one():
    item = dataset([0, -1], reader=FailsBelow)[1]
    assert item == {"rejected": [("s1", "OSError: image file is truncated")]}


def test_evaluation_leaves_a_failing_case_out():
    assert dataset([0, -1, 2])[1] == {"rejected": [("s1", "UserError: s1.png: is cut short")]}


def test_no_good_case_ends_a_training():
    with pytest.raises(RuntimeError, match=r"all 3 cases failed; the first: s2: UserError: s2\.png: is cut short"):
        dataset([-1, -1, -1], replace_rejected=True)[2]
    with pytest.raises(ValueError, match="holds no case"):
        dataset([])


def test_the_order_is_new_every_epoch_and_repeats():
    data = dataset()
    sampler = EpochSampler(data, seed=5)

    def order(epoch, sampler=sampler):
        sampler.set_epoch(epoch)
        return list(sampler)

    first, second = order(1), order(2)
    assert sorted(first) == list(range(10, 20)) and sorted(second) == list(range(20, 30))
    assert [i % 10 for i in first] != [i % 10 for i in second]
    assert order(1) == first == order(1, EpochSampler(dataset(), seed=5)) != order(1, EpochSampler(data, seed=6))
    assert order(3, EpochSampler(data, shuffle=False)) == list(range(30, 40))


def test_ranks_share_the_cases():
    data = dataset()

    def ranks(**options):
        samplers = [EpochSampler(data, seed=5, num_replicas=3, rank=rank, **options) for rank in range(3)]
        for sampler in samplers:
            sampler.set_epoch(2)
        return [list(sampler) for sampler in samplers]

    whole = EpochSampler(data, seed=5)
    whole.set_epoch(2)
    whole = list(whole)
    dropped, padded = ranks(drop_last=True), ranks()
    assert [len(rank) for rank in dropped] == [3, 3, 3]
    assert sorted(chain(*dropped)) == sorted(whole[:9])  # disjoint: nine different ones
    # Batches of all ranks together are the batches of one process.
    assert [list(step) for step in zip(*dropped, strict=True)] == [whole[0:3], whole[3:6], whole[6:9]]
    assert [len(rank) for rank in padded] == [4, 4, 4] and set(chain(*padded)) == set(whole)


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("shuffle", [True, False])
def test_no_patient_comes_twice_in_a_step(replicas, shuffle):
    data = dataset(range(40))
    patients = [f"p{index - index % 2}" if index < 24 else f"p{index}" for index in range(40)]  # twelve pairs
    patients[25:28] = ["often"] * 3
    data.data = [record | {"patient_id": patient} for record, patient in zip(data.data, patients, strict=True)]
    size = 4 * replicas

    def twice(epoch, **options):
        samplers = [EpochSampler(data, shuffle, seed=5, num_replicas=replicas, rank=rank, **options) for rank in range(replicas)]
        for sampler in samplers:
            sampler.set_epoch(epoch)
        order = [index % 40 for index in chain(*zip(*samplers, strict=True))]
        assert sorted(order) == list(range(40))
        return [size - len({patients[index] for index in order[k : k + size]}) for k in range(0, 40, size)]

    for epoch in range(5):
        assert not any(twice(epoch, patients_apart=size)[:-1]), epoch  # the last step has what is left
    assert any(any(twice(epoch)[:-1]) for epoch in range(5))


def test_who_waits_comes_next_and_what_cannot_be_kept_apart_comes_last():
    patients = ["a", "a", "b", "c", "a", "a"]
    assert patients_kept_apart(range(6), patients, 2) == [0, 2, 1, 3, 4, 5]
    assert patients_kept_apart(range(4), patients, 9) == [0, 2, 3, 1]
    assert patients_kept_apart([3, 2, 0], patients, 2) == [3, 2, 0]


def test_skip_next_skips_once():
    sampler = EpochSampler(dataset(), seed=5)
    sampler.set_epoch(1)
    whole = list(sampler)
    sampler.skip_next(4)
    assert list(sampler) == whole[4:]
    assert list(sampler) == whole and len(sampler) == 10
