from collections import Counter

import pytest

from sbanet.data.scenes.dice import Dice


def test_draws_are_a_function_of_seed_and_index():
    first, second, other = Dice(1, 2), Dice(1, 2), Dice(2, 1)
    draws = [first.unit() for _ in range(2000)]
    assert draws == [second.unit() for _ in range(2000)]
    assert draws != [other.unit() for _ in range(2000)]


def test_integers_include_both_ends_evenly():
    dice = Dice(0, 0)
    counts = Counter(dice.integer(3, 6) for _ in range(8000))
    assert sorted(counts) == [3, 4, 5, 6]
    assert min(counts.values()) > 1800


def test_weights_are_proportions_and_zero_is_never():
    dice = Dice(0, 0)
    counts = Counter(dice.weighted({"a": 3.0, "b": 1.0, "c": 0.0}) for _ in range(4000))
    assert counts["c"] == 0
    assert counts["a"] / counts["b"] == pytest.approx(3, rel=0.15)


def test_shuffle_keeps_the_items():
    dice, items = Dice(0, 0), list(range(20))
    dice.shuffle(items)
    assert sorted(items) == list(range(20)) != items
