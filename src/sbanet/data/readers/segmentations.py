"""Segmentations of COCO: can one be drawn, and what does its mask look like at the size of the network?

The form of one is asked when annotations are read, its runs when it is drawn.

Shape letters: H W the image's own size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from sbanet.errors import DataError
from sbanet.resizing import sampled

LEAST_NUMBERS = 6
"""Of a polygon: three corners, x and y."""

MOST_LETTERS = 7
"""Of a run length: 34 bits, more than any image has pixels."""

_FIRST_LETTER = ord("0")


def require_drawable(segmentation: Any, height: int, width: int) -> None:
    """Refuse what pycocotools would draw as something else, or crash on.

    Args:
        segmentation: polygons, or run lengths compressed or not, one or several.
        height: of the image, pixels.
        width: of the image, pixels.

    Raises:
        DataError: saying what is wrong; the caller knows where.
    """
    parts = [segmentation] if isinstance(segmentation, Mapping) else segmentation
    if not isinstance(parts, Sequence) or isinstance(parts, str):
        raise DataError(f"its segmentation is a {type(parts).__name__}, expected polygons or run lengths")
    if not parts:
        raise DataError("its segmentation has no part, expected polygons or run lengths")
    for part in parts:
        if isinstance(part, Mapping):
            _require_size(part, height, width)
        else:
            _require_polygon(part)


def _require_polygon(numbers: Any) -> None:
    if not isinstance(numbers, Sequence) or isinstance(numbers, str):
        raise DataError(f"a part of its segmentation is a {type(numbers).__name__}, expected a polygon or run lengths")
    if len(numbers) < LEAST_NUMBERS or len(numbers) % 2:
        raise DataError(f"its polygon has {len(numbers)} numbers, expected x and y of three corners or more")
    try:
        finite = all(map(math.isfinite, numbers))
    except (TypeError, OverflowError) as error:
        raise DataError(f"its polygon holds something else than numbers ({error})") from error
    if not finite:
        raise DataError("its polygon has a corner that is NaN or infinite")
    if max(map(abs, numbers)) > 2**30:
        raise DataError("its polygon has a corner further away than any image is wide")


def _require_size(runs: Mapping[str, Any], height: int, width: int) -> None:
    size, counts = runs.get("size"), runs.get("counts")
    if not isinstance(size, Sequence) or list(size) != [height, width]:
        raise DataError(f"its run lengths are of size {size}, the image is of [{height}, {width}] (height, width)")
    if not isinstance(counts, str | bytes | list):
        raise DataError(f"its run lengths are a {type(counts).__name__}, expected a string or a list of whole numbers")


def require_covering(segmentation: Any, height: int, width: int) -> None:
    """Refuse run lengths that are damaged: pycocotools would draw other pixels, and say nothing.

    Args:
        segmentation: one that `require_drawable` let pass; polygons are passed over.
        height: of the image, pixels.
        width: of the image, pixels.

    Raises:
        DataError: saying what is wrong; the caller knows where.
    """
    for part in [segmentation] if isinstance(segmentation, Mapping) else segmentation:
        if isinstance(part, Mapping):
            _covering(part, height, width)


def _covering(runs: Mapping[str, Any], height: int, width: int) -> np.ndarray:
    """Run lengths as numbers, int64; what they cover is the image."""
    lengths = _lengths(runs["counts"])
    if (lengths < 0).any():
        raise DataError("its run lengths have a negative one")
    if (covered := int(lengths.sum())) != height * width:
        raise DataError(f"its run lengths cover {covered} pixels, the image has {height * width}")
    return lengths


def resized_mask(segmentation: Any, height: int, width: int, side: int) -> np.ndarray:
    """The mask of a segmentation at the network's size, without drawing it at the image's own.

    Args:
        segmentation: one that `require_drawable` let pass.
        height: of the image, pixels.
        width: of the image, pixels.
        side: of the square that the network sees, pixels.

    Returns:
        (side, side) bool, what `sbanet.resizing.resize_mask` makes of the pixels that exactly one segment covers.

    Raises:
        DataError: the run lengths are damaged.
    """
    parts = [segmentation] if isinstance(segmentation, Mapping) else segmentation
    columns = [_resized_columns(_runs(part, height, width), height, width, side) for part in parts]
    once = columns[0] if len(columns) == 1 else np.sum(columns, axis=0, dtype=np.int32) == 1
    return np.ascontiguousarray(once.T)


def _runs(part: Any, height: int, width: int) -> np.ndarray:
    if isinstance(part, Mapping):
        return _covering(part, height, width)
    return _covering(coco_mask.frPyObjects([part], height, width)[0], height, width)


def _resized_columns(lengths: np.ndarray, height: int, width: int, side: int) -> np.ndarray:
    """Runs down the columns of (H, W) -> (side, side) bool, a row a column.

    Of the places where one run ends and the next begins it is counted how many of the pixels to be taken lie before
    them: these are the ends of the runs of the small mask.
    """
    rows, columns = _taken(height, side), _taken(width, side)
    column, row = np.divmod(np.cumsum(lengths), height)
    ends = columns.before[column] * rows.count + columns.is_taken[column] * rows.before[row]
    small = np.repeat(np.arange(len(ends)) % 2 == 1, np.diff(ends, prepend=0)).reshape(columns.count, rows.count)
    return small if rows.count == columns.count == side else small[columns.again][:, rows.again]


@dataclass(frozen=True, slots=True)
class _Taken:
    """Which rows (or columns) of a mask stay when it is resized.

    Attributes:
        count: of those that stay.
        before: (length + 1,) how many stay before each, and before the end.
        is_taken: (length + 1,) whether each stays; the end does not.
        again: (side,) which of those that stay each of the resized mask is; of a small image one may be several.
    """

    count: int
    before: np.ndarray
    is_taken: np.ndarray
    again: np.ndarray


@lru_cache(maxsize=256)
def _taken(length: int, side: int) -> _Taken:
    stay, again = np.unique(sampled(length, side), return_inverse=True)
    is_taken = np.zeros(length + 1, np.int64)
    is_taken[stay] = 1
    return _Taken(len(stay), np.cumsum(is_taken) - is_taken, is_taken, again)


def _lengths(counts: str | bytes | list[Any]) -> np.ndarray:
    if isinstance(counts, list):
        if not all(type(length) is int and abs(length) < 2**40 for length in counts):
            raise DataError("its run lengths hold something else than whole numbers")
        return np.array(counts, np.int64)
    return uncompressed(counts.encode("latin-1", "replace") if isinstance(counts, str) else counts)


def uncompressed(counts: bytes) -> np.ndarray:
    """COCO's compressed run lengths as numbers, int64.

    Six bits a letter: five of the number, least first, and whether another follows; from the fourth number on the
    difference to the last but one is written.

    Raises:
        DataError: they end within a number, or hold a letter that there is not.
    """
    bits = np.frombuffer(counts, np.uint8).astype(np.int64) - _FIRST_LETTER
    if not bits.size or bits.min() < 0 or bits.max() > 63:
        raise DataError("its run lengths are empty, or hold a letter that compressed ones do not have")
    last = np.flatnonzero(bits < 32)
    if not last.size or last[-1] != bits.size - 1:
        raise DataError("its run lengths end within a number")
    first = np.concatenate([[0], last[:-1] + 1])
    letters = last - first + 1
    if letters.max() > MOST_LETTERS:
        raise DataError("its run lengths hold a number beyond any image")
    place = np.arange(bits.size) - np.repeat(first, letters)
    lengths = np.add.reduceat((bits & 31) << (5 * place), first)
    lengths -= np.where(bits[last] & 16, np.left_shift(1, 5 * letters), 0)  # of a negative one
    lengths[1::2] = np.cumsum(lengths[1::2])
    lengths[2::2] = np.cumsum(lengths[2::2])
    return lengths
