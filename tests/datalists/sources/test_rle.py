import itertools

import numpy as np
import pytest

from scripts.datalists.sources.rle import decode_counts, decode_mask


def encode(mask: np.ndarray) -> str:
    """COCO's compressed run lengths, written out slowly from the format's description."""
    counts = [] if not mask.T.flat[0] else [0]
    counts += [len(list(run)) for _, run in itertools.groupby(mask.T.ravel().tolist())]
    text = ""
    for index, count in enumerate(counts):
        value = count - counts[index - 2] if index > 2 else count
        pieces = 1
        while not -(1 << (5 * pieces - 1)) <= value < 1 << (5 * pieces - 1):
            pieces += 1
        bits = value % (1 << (5 * pieces))
        for piece in range(pieces):
            more = 32 if piece < pieces - 1 else 0
            text += chr(48 + (bits >> (5 * piece) & 31) + more)
    return text


def test_by_hand():
    # Runs 1 2 1 2 1 1; the fourth on as differences 0 0 -1, and -1 is 31 in five bits: "O".
    assert decode_counts("12100O") == [1, 2, 1, 2, 1, 1]
    np.testing.assert_array_equal(decode_mask((2, 4), "12100O"), [[0, 1, 1, 0], [1, 0, 1, 1]])
    # 16 has bit 4 set, so a second piece must say that it is not negative.
    assert decode_counts("`0") == [16]


@pytest.mark.parametrize(("text", "size"), [("PVWX6", (2320, 2828)), ("nefl3", (2022, 2021)), ("ifdl3", (2021, 2021))])
def test_empty_masks_of_the_data_set(text, size):
    """Strings that CheXlocalize holds for findings that are absent: one run of zeros that fills the film."""
    assert decode_counts(text) == [size[0] * size[1]]
    assert not decode_mask(size, text).any()


@pytest.mark.parametrize("density", [0.02, 0.5, 0.98])
def test_inverts_the_slow_encoder(density):
    random = np.random.default_rng(7)
    for _ in range(20):
        mask = random.random(tuple(random.integers(1, 90, 2))) < density
        np.testing.assert_array_equal(decode_mask(mask.shape, encode(mask)), mask)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("1 2", "character ' '"), ("12P", "ends within a number"), ("O", "negative length"), ("12", "3 pixels")],
)
def test_other_strings_are_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        decode_mask((2, 4), text)
