"""Mirrored volumes and their words; the whole volume as one anatomy."""

import torch

from scripts.transforms.volume_augmentation import RandFlipSidesd, WholeVolumed, other_side


def record():
    image = torch.arange(24.0).reshape(1, 2, 3, 4)
    mask = torch.zeros(1, 2, 3, 4, dtype=torch.uint8)
    mask[..., 0] = 1
    return {"image": image, "anatomy_mask": mask, "reports": {"lung": "Nodule in the left upper lobe."}}


def test_image_mask_and_words_turn_together():
    flipped = RandFlipSidesd(prob=1.0)(record())
    assert torch.equal(flipped["image"], record()["image"].flip(3))
    assert flipped["anatomy_mask"][..., 3].all() and not flipped["anatomy_mask"][..., 0].any()
    assert flipped["reports"] == {"lung": "Nodule in the right upper lobe."}
    same = RandFlipSidesd(prob=0.0)(record())
    assert torch.equal(same["image"], record()["image"]) and same["reports"] == record()["reports"]


def test_how_often_it_turns_depends_on_the_seed():
    transform = RandFlipSidesd(prob=0.5)
    transform.set_random_state(seed=1)
    first = [bool(transform(record())["anatomy_mask"][..., 3].all()) for _ in range(40)]
    transform.set_random_state(seed=1)
    assert first == [bool(transform(record())["anatomy_mask"][..., 3].all()) for _ in range(40)]
    assert 8 < sum(first) < 32


def test_words():
    text = "Left-sided effusion; RIGHT lung clear. The aorta is bright, leftward shift."
    assert other_side(text) == "Right-sided effusion; LEFT lung clear. The aorta is bright, rightward shift."
    assert other_side(other_side(text)) == text


def test_the_whole_volume_is_one_anatomy():
    data = {"image": torch.zeros(1, 4, 5, 6), "anatomy_mask": torch.ones(1, 4, 5, 6), "reports": {"lung": "A.", "heart": "B."}}
    whole = WholeVolumed()(data)
    assert whole["reports"] == {"whole volume": "A. B."}
    mask = whole["anatomy_mask"]
    assert mask.sum() == 2 * 3 * 4 and mask[0, 1:-1, 1:-1, 1:-1].all()
    assert set(WholeVolumed()({key: data[key] for key in ("image", "anatomy_mask")})) == {"image", "anatomy_mask"}
