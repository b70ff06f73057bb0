"""The field's scores from two integers a sample: intersection I and union U, in pixels.

Training, evaluation and analysis all score here, so a number in a progress bar and the same number in a
table can only agree. Needs numpy alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
"""The X of the Pr@X that the papers report."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What a set of (image, expression) pairs scores; all but the counts are fractions in [0, 1].

    Attributes:
        mIoU: mean of I/U over the samples; a sample with an empty union enters as 0.
        oIoU: sum of I / sum of U; large objects dominate it. 0 where every union is empty.
        precision: for each threshold X, the share of samples with I/U >= X.
        count: number of samples.
        empty: how many of them have an empty union (nothing to find and nothing found).
    """

    mIoU: float
    oIoU: float
    precision: dict[float, float]
    count: int
    empty: int

    def as_dict(self) -> dict[str, float]:
        """`{"mIoU": ..., "oIoU": ..., "Pr@0.5": ..., ..., "count": ..., "empty": ...}`."""
        pr = {f"Pr@{threshold:g}": share for threshold, share in self.precision.items()}
        return {"mIoU": self.mIoU, "oIoU": self.oIoU, **pr, "count": self.count, "empty": self.empty}


def ious(intersection: ArrayLike, union: ArrayLike) -> NDArray[np.float64]:
    """I/U of every sample in float64; 0 where the union is empty.

    Args:
        intersection: (N,) integers, pixels in both masks.
        union: (N,) integers, pixels in either mask.

    Returns:
        (N,) float64 in [0, 1].

    Raises:
        ValueError: not integers, not one-dimensional, of different lengths, negative, or I > U.
    """
    inter, uni = _checked(intersection, union)
    return np.divide(inter, uni, out=np.zeros(inter.shape, dtype=np.float64), where=uni > 0)


def score(intersection: ArrayLike, union: ArrayLike, thresholds: Sequence[float] = THRESHOLDS) -> Scores:
    """All scores of a set of samples.

    The comparison with a threshold is `>=` in float64: 7 of 10 pixels count for Pr@0.7. The sums are exact
    (integers, and a correctly rounded float sum), so neither the order of the samples nor the number of
    processes that measured them shows in the last digit.

    Args:
        intersection: (N,) integers, pixels in both masks.
        union: (N,) integers, pixels in either mask.
        thresholds: the X of Pr@X.

    Returns:
        The scores of the N samples.

    Raises:
        ValueError: what `ious` refuses, or N = 0, or a threshold outside (0, 1].
    """
    wrong = [threshold for threshold in thresholds if not 0 < threshold <= 1]
    if wrong:
        raise ValueError(f"thresholds: got {wrong}, expected values in (0, 1]")
    inter, uni = _checked(intersection, union)
    count = len(inter)
    if count == 0:
        raise ValueError("scores: got 0 samples, expected at least one (is the split empty?)")
    iou = ious(inter, uni)
    total = int(uni.sum())
    return Scores(
        mIoU=math.fsum(iou) / count,
        oIoU=int(inter.sum()) / total if total else 0.0,
        precision={float(x): int(np.count_nonzero(iou >= float(x))) / count for x in thresholds},
        count=count,
        empty=int(np.count_nonzero(uni == 0)),
    )


def _checked(intersection: ArrayLike, union: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Both as int64, or a ValueError that says which value is impossible."""
    arrays = {"intersection": np.asarray(intersection), "union": np.asarray(union)}
    for name, array in arrays.items():
        if array.ndim != 1:
            raise ValueError(f"{name}: got shape {array.shape}, expected (N,), one integer a sample")
        if array.size and array.dtype.kind not in "iu":
            raise ValueError(f"{name}: got dtype {array.dtype}, expected integers (pixel counts)")
    inter, uni = (array.astype(np.int64) for array in arrays.values())
    if inter.shape != uni.shape:
        raise ValueError(f"intersection and union: got {len(inter)} and {len(uni)} samples, expected as many")
    for name, bad in (("a negative intersection", inter < 0), ("intersection > union", inter > uni)):
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise ValueError(
                f"{name}: got I={inter[row]}, U={uni[row]} in row {row}, expected 0 <= I <= U "
                f"({int(bad.sum())} such rows)"
            )
    return inter, uni
