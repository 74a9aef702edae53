"""COCO's compressed run-length masks, read without pycocotools.

The format (maskApi.c of cocodataset/cocoapi, `rleFrString`): a mask is read column by column; runs of 0 and 1 take
turns and the first counts zeros, so it may be 0. Each number is written in pieces of 5 bits, lowest first, one
printable character a piece: character code - 48 is a 6-bit value whose bit 5 says that another piece follows and whose
bit 4, in the last piece, is the sign (the number is in two's complement of the bits written). From the fourth run on
the number is the difference to the run two before, which is of the same value and often of similar length.
"""

import numpy as np


def decode_counts(text: str) -> list[int]:
    """Run lengths of a compressed COCO mask.

    For example "PVWX6" is 32, 38, 39, 40, 6 after subtracting 48; without bit 5 these are the pieces 0, 6, 7, 8, 6,
    hence 0 + 6 * 2^5 + 7 * 2^10 + 8 * 2^15 + 6 * 2^20 = 6,560,960 zeros: an empty mask of 2320 x 2828.

    Args:
        text: the `counts` string.

    Returns:
        lengths of the runs, zeros first.

    Raises:
        ValueError: a character outside the format, a string that ends within a number, or a negative run.
    """
    counts: list[int] = []
    value = shift = 0
    for position, character in enumerate(text):
        piece = ord(character) - 48
        if not 0 <= piece < 64:
            raise ValueError(f"character {character!r} at {position} is not of a COCO run-length string")
        value |= (piece & 0x1F) << shift
        shift += 5
        if piece & 0x20:
            continue
        if piece & 0x10:
            value -= 1 << shift
        if len(counts) > 2:
            value += counts[-2]
        if value < 0:
            raise ValueError(f"run {len(counts)} (up to character {position}) has a negative length, {value}")
        counts.append(value)
        value = shift = 0
    if shift:
        raise ValueError("the COCO run-length string ends within a number")
    return counts


def decode_mask(size: tuple[int, int], text: str) -> np.ndarray:
    """Mask of a compressed COCO run-length object.

    Args:
        size: height and width in pixels, as COCO writes them.
        text: the `counts` string.

    Returns:
        mask, bool, [height, width].

    Raises:
        ValueError: a string outside the format, or runs that do not fill the mask.
    """
    height, width = size
    counts = decode_counts(text)
    if sum(counts) != height * width:
        raise ValueError(f"the runs hold {sum(counts)} pixels and the mask of {height} x {width} has {height * width}")
    values = np.arange(len(counts)) % 2 == 1
    return np.ascontiguousarray(np.repeat(values, counts).reshape(width, height).T)
