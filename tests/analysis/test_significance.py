"""Intervals and p-values against scipy's, against the truth of a simulation, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sbanet.analysis.significance import Bootstrap, Change, Counts, bootstrap, holm, least_change, t_quantile
from sbanet.scores import score


def counts(rng: np.random.Generator, seeds: int, samples: int, skill: float = 1.0) -> Counts:
    union = rng.integers(50, 5000, (seeds, samples))
    return Counts((union * rng.beta(2 * skill, 1, union.shape)).astype(np.int64), union)


def test_observed_scores_are_those_of_the_tables() -> None:
    rng = np.random.default_rng(0)
    row = counts(rng, 3, 40)
    result = bootstrap([row], rng.permutation(40) // 4, resamples=1)
    measured = [score(*pair).as_dict() for pair in zip(row.intersection, row.union, strict=True)]
    for metric, value in zip(result.metrics, result.observed[0], strict=True):
        assert value == pytest.approx(np.mean([scores[metric] for scores in measured]), abs=1e-12)


@pytest.mark.parametrize("metric", ["mIoU", "oIoU", "Pr@0.7"])
def test_intervals_are_those_of_scipy(metric: str) -> None:
    """One sentence an image and one seed: scipy's paired percentile bootstrap, which draws the same images."""
    rng = np.random.default_rng(1)
    draws, samples = 500, 80
    own, base = counts(rng, 1, samples, 1.4), counts(rng, 1, samples)
    result = bootstrap([base, own], np.arange(samples), resamples=draws, seed=5)

    def difference(chosen: np.ndarray) -> float:
        parts = [score(row.intersection[0, chosen], row.union[0, chosen]).as_dict() for row in (own, base)]
        return parts[0][metric] - parts[1][metric]

    for confidence in (0.95, 0.8):
        expected = stats.bootstrap(
            (np.arange(samples),), difference, vectorized=False, n_resamples=draws, batch=draws,
            confidence_level=confidence, method="percentile", rng=np.random.default_rng(5),
        )  # fmt: skip
        change = result.change(1, 0, metric, confidence)
        assert change.value == pytest.approx(difference(np.arange(samples)), abs=1e-12)
        assert (change.low, change.high) == pytest.approx(tuple(expected.confidence_interval), abs=1e-12)


def simulate(experiments: int, images: int, a_image: int, by_image: bool) -> float:
    """How often a 95 % interval holds the true change of mIoU, 0.03; an image's sentences share its luck."""
    rng = np.random.default_rng(2)
    size, true, covered = 10_000, 0.03, 0
    for _ in range(experiments):
        luck = np.repeat(rng.uniform(-0.2, 0.2, images), a_image)
        base = rng.uniform(0.3, 0.6, len(luck))
        own = base + true + luck + rng.uniform(-0.05, 0.05, len(luck))
        union = np.full((1, len(luck)), size)
        rows = [Counts((values * size).astype(np.int64)[None], union) for values in (base, own)]
        which = np.repeat(np.arange(images), a_image) if by_image else np.arange(len(luck))
        change = bootstrap(rows, which, thresholds=(), resamples=400, seed=int(rng.integers(1 << 30))).change(
            1, 0, "mIoU"
        )
        covered += change.low <= true <= change.high
    return covered / experiments


def test_intervals_cover_at_their_rate() -> None:
    """600 experiments: three standard errors are 0.027; a percentile interval of 50 images lacks about 0.01."""
    assert 0.95 - 0.01 - 0.027 <= simulate(600, images=50, a_image=4, by_image=True) <= 0.95 + 0.027


def test_drawing_sentences_instead_of_images_would_not_cover() -> None:
    assert simulate(200, images=50, a_image=4, by_image=False) < 0.8


def test_p_values_by_hand() -> None:
    drawn = np.zeros((9, 2, 1))
    drawn[:, 1, 0] = [-1, 0, 1, 2, 3, 4, 5, 6, 7]
    result = Bootstrap(("mIoU",), np.array([[0.0], [3.0]]), drawn)
    assert result.change(1, 0, "mIoU", 0.5) == Change(3.0, 1.0, 5.0, 2 * (1 + 2) / 10)
    assert result.change(0, 1, "mIoU", 0.5) == Change(-3.0, -5.0, -1.0, 2 * (1 + 2) / 10)
    assert result.change(0, 0, "mIoU") == Change(0.0, 0.0, 0.0, 1.0)


def test_the_same_seed_gives_the_same_draws_and_rows_share_them() -> None:
    rng = np.random.default_rng(3)
    row, images = counts(rng, 2, 60), np.arange(60) // 2
    first, again, other = (bootstrap([row, row], images, resamples=600, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.resampled, again.resampled)
    assert not np.array_equal(first.resampled, other.resampled)
    np.testing.assert_array_equal(first.resampled[:, 0], first.resampled[:, 1])
    assert len(np.unique(first.resampled[:, 0, 0])) > 500, "one chunk of draws is not another's copy"


def test_holm_by_hand() -> None:
    # sorted 0.005, 0.01, 0.03, 0.04: x4 = 0.02, x3 = 0.03, x2 = 0.06, x1 = 0.04, which may not fall below 0.06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def test_least_change_is_where_the_t_test_turns() -> None:
    own, base = np.array([0.61, 0.64, 0.62]), np.array([0.60, 0.59, 0.625, 0.61])
    limit = least_change(own, base)
    assert limit is not None
    centred = own - own.mean() + base.mean()
    assert stats.ttest_ind(centred + limit, base).pvalue == pytest.approx(0.05)
    assert least_change([0.6], [0.61, 0.62, 0.64]) == pytest.approx(
        4.302653 * np.std([0.61, 0.62, 0.64], ddof=1) * (4 / 3) ** 0.5
    )
    assert least_change([0.6], [0.7]) is None


def test_quantiles_are_those_of_scipy() -> None:
    for freedom in [*range(1, 12), 30, 101]:
        for probability in (0.5, 0.9, 0.975, 0.9995):
            expected = stats.t.ppf(probability, freedom)
            assert t_quantile(probability, freedom) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_what_cannot_be_compared_is_refused() -> None:
    rng = np.random.default_rng(4)
    with pytest.raises(ValueError, match=r"got \[8, 9\] samples, expected the same"):
        bootstrap([counts(rng, 1, 8), counts(rng, 1, 9)], np.arange(8))
    with pytest.raises(ValueError, match="got 0 rows and 5000 resamples"):
        bootstrap([], np.arange(8))
