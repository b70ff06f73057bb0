"""Whether a change of a score would be seen again: on other images, and with other seeds.

These are two questions with two answers. The bootstrap asks the first: given these very runs, how far does a
change depend on the images that happen to be in the split? Sentences about one image are not independent, so
whole images are drawn, with all their sentences, and the same images for every row (paired). `least_change`
asks the second: given the spread over seeds, how large must a change be before the seeds can show it?
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sbanet.scores import THRESHOLDS, ious

RESAMPLES = 5_000
"""Draws of a bootstrap: the least p-value, 2 / 5001, stays below 0.02 when Holm corrects it for 40 tests."""

CHUNK = 500
"""Draws that are in memory at a time."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a row of a comparison has measured on N samples with each of its S seeds.

    Attributes:
        intersection: (S, N) integers, pixels in both masks.
        union: (S, N) integers, pixels in either mask.
    """

    intersection: np.ndarray
    union: np.ndarray


@dataclass(frozen=True, slots=True)
class Change:
    """A score's change against a baseline.

    Attributes:
        value: as measured.
        low: the lower end of the confidence interval.
        high: its upper end.
        p: two-sided, in (0, 1].
    """

    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """The scores of some rows on resampled images.

    Attributes:
        metrics: their names: mIoU, oIoU, Pr@X, ...
        observed: (rows, metrics), on the images as they are; the mean over the seeds of a row.
        resampled: (resamples, rows, metrics); the draws are shared by all rows and metrics.
    """

    metrics: tuple[str, ...]
    observed: np.ndarray
    resampled: np.ndarray

    def change(self, row: int, baseline: int, metric: str, confidence: float = 0.95) -> Change:
        """One row against another.

        The interval is the percentile interval of the resampled differences. p = min(1, 2 (1 + k) / (1 + n)), n
        the number of draws and k how many of them have a difference of no or the other sign (the smaller of the
        numbers of differences <= 0 and >= 0): it is below 1 - confidence where the interval leaves out 0.

        Args:
            row: position of the row.
            baseline: position of the row that it is compared with.
            metric: one of `metrics`.
            confidence: of the interval, in (0, 1).
        """
        column = self.metrics.index(metric)
        drawn = self.resampled[:, row, column] - self.resampled[:, baseline, column]
        value = float(self.observed[row, column] - self.observed[baseline, column])
        low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
        contrary = min(np.count_nonzero(drawn <= 0), np.count_nonzero(drawn >= 0))
        return Change(value, float(low), float(high), min(1.0, 2 * (1 + contrary) / (1 + len(drawn))))


def bootstrap(
    rows: Sequence[Counts],
    images: np.ndarray,
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Bootstrap:
    """Draws as many images as there are, with replacement, and scores every row on them; again and again.

    The seeds of a row are not drawn: its score is the mean of the scores of its seeds, as tables print it.

    Args:
        rows: each over the same N samples in the same order.
        images: (N,) which image a sample is of, numbered from 0 without gaps.
        thresholds: the X of Pr@X.
        resamples: the number of draws.
        seed: of the draws; the same one gives the same numbers.

    Raises:
        ValueError: no row, no draw, rows of another length, or counts that `sbanet.scores` refuses.
    """
    if not rows or resamples < 1:
        raise ValueError(f"bootstrap: got {len(rows)} rows and {resamples} resamples, expected at least one of each")
    lengths = {row.intersection.shape[1] for row in rows} | {len(images)}
    if len(lengths) > 1:
        raise ValueError(f"bootstrap: got {sorted(lengths)} samples, expected the same in every row")
    sums = [_image_sums(row, images, thresholds) for row in rows]
    columns = np.concatenate([np.bincount(images)[:, None], *sums], axis=1)
    seeds = [len(row.intersection) for row in rows]
    metrics = ("mIoU", "oIoU", *(f"Pr@{threshold:g}" for threshold in thresholds))
    drawn = np.empty((resamples, len(rows), len(metrics)))
    for begin, counts in _draws(len(columns), resamples, seed):
        drawn[begin : begin + len(counts)] = _scores(counts @ columns, seeds, len(thresholds))
    observed = _scores(columns.sum(0, keepdims=True), seeds, len(thresholds))[0]
    return Bootstrap(metrics, observed, drawn)


def _image_sums(row: Counts, images: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """Every score is a ratio of sums over images: (M, 1 + thresholds + 2 S), the sums of each image.

    IoU and the hits of each threshold are averaged over the seeds; I and U of each seed stay apart.
    """
    iou = np.stack([ious(*pair) for pair in zip(row.intersection, row.union, strict=True)])
    columns = [iou.mean(0), *((iou >= threshold).mean(0) for threshold in thresholds), *row.intersection, *row.union]
    return np.stack([np.bincount(images, weights=column) for column in columns], axis=1)


def _draws(images: int, resamples: int, seed: int) -> Iterator[tuple[int, np.ndarray]]:
    """(number of the first draw, how often each image was drawn: (draws, M)), a chunk at a time."""
    rng = np.random.default_rng(seed)
    for begin in range(0, resamples, CHUNK):
        size = min(CHUNK, resamples - begin)
        drawn = rng.integers(0, images, (size, images)) + images * np.arange(size)[:, None]
        yield begin, np.bincount(drawn.ravel(), minlength=size * images).reshape(size, images).astype(np.float64)


def _scores(sums: np.ndarray, seeds: Sequence[int], thresholds: int) -> np.ndarray:
    """(draws, rows, metrics) from the sums of each draw: of samples, then for each row of what `_image_sums` has."""
    samples, rest = sums[:, :1], sums[:, 1:]
    rows = []
    for count in seeds:
        own, rest = np.split(rest, [1 + thresholds + 2 * count], axis=1)
        means, inter, union = np.split(own, [1 + thresholds, 1 + thresholds + count], axis=1)
        means = means / samples
        overall = np.divide(inter, union, out=np.zeros_like(inter), where=union > 0).mean(1, keepdims=True)
        rows.append(np.concatenate([means[:, :1], overall, means[:, 1:]], axis=1))
    return np.stack(rows, axis=1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: the chance of a single false alarm among all tests stays below the level.

    Args:
        p_values: of all tests of a table, in any order.

    Returns:
        The corrected p-values in the same order.

    Source:
        S. Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statistics 6, 1979.
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    stepped = np.maximum.accumulate(np.minimum(1.0, factors * np.asarray(p_values, dtype=float)[order]))
    corrected = np.empty(len(order))
    corrected[order] = stepped
    return corrected.tolist()


def least_change(scores: Sequence[float], baseline: Sequence[float], confidence: float = 0.95) -> float | None:
    """The smallest change between two means over seeds that these seeds can tell from chance.

    The critical difference of the two-sided t-test with the two rows' common variance:
    t(1 - (1 - confidence) / 2, S + S' - 2) s sqrt(1 / S + 1 / S').

    Args:
        scores: one a seed of a row.
        baseline: one a seed of the row that it is compared with.
        confidence: 1 - the level of the test.

    Returns:
        In the scores' unit; None where both rows have a single seed, whose spread nobody knows.
    """
    freedom = len(scores) + len(baseline) - 2
    if freedom < 1:
        return None
    squares = sum(float(np.var(values)) * len(values) for values in (scores, baseline))
    spread = math.sqrt(squares / freedom * (1 / len(scores) + 1 / len(baseline)))
    return t_quantile((1 + confidence) / 2, freedom) * spread


def t_quantile(probability: float, freedom: int) -> float:
    """The quantile of Student's t; scipy has it too, but takes half a second to import.

    Args:
        probability: in [0.5, 1).
        freedom: the degrees of freedom, 1 or more.

    Source:
        Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4, for the distribution; it is
        inverted by halving an interval.
    """
    low, high = 0.0, 1.0
    while _within(high, freedom) < 2 * probability - 1:
        low, high = high, 2 * high
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if _within(middle, freedom) < 2 * probability - 1 else (low, middle)
    return low


def _within(t: float, freedom: int) -> float:
    """The chance of a value between -t and t."""
    angle = math.atan2(t, math.sqrt(freedom))
    cosine, odd = math.cos(angle), freedom % 2
    term = total = cosine if odd else 1.0
    for step in range(2 + odd, freedom - 1, 2):
        term *= cosine**2 * (step - 1) / step
        total += term
    if odd:
        return 2 / math.pi * (angle + math.sin(angle) * (total if freedom > 1 else 0.0))
    return math.sin(angle) * total
