"""The random draws of one scene."""

from __future__ import annotations

from collections.abc import Mapping, MutableSequence, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")

_BLOCK = 512


class Dice:
    """Draws that are a function of (seed, index) alone, cheap enough for hundreds a scene.

    Uniform doubles come from PCG64 in blocks: their bits are the same on every platform, and a list of Python
    floats is read an order of magnitude faster than a NumPy generator is called.

    Args:
        seed: the data set's seed, at least 0.
        index: the scene's number, at least 0.
    """

    def __init__(self, seed: int, index: int) -> None:
        self._rng = np.random.Generator(np.random.PCG64([seed, index]))
        self._block: list[float] = []

    def unit(self) -> float:
        """A number in [0, 1)."""
        if not self._block:
            self._block = self._rng.random(_BLOCK).tolist()
        return self._block.pop()

    def uniform(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * self.unit()

    def integer(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int(self.unit() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self.unit() < probability

    def choice(self, items: Sequence[T]) -> T:
        """One of the items, all equally likely."""
        return items[int(self.unit() * len(items))]

    def weighted(self, weights: Mapping[T, float]) -> T:
        """A key, in proportion to its weight; zero weights are never drawn."""
        target = self.unit() * sum(weights.values())
        for key, weight in weights.items():
            target -= weight
            if target < 0:
                return key
        return next(key for key in reversed(list(weights)) if weights[key] > 0)

    def shuffle(self, items: MutableSequence[T]) -> None:
        """Shuffle in place (Fisher-Yates)."""
        for last in range(len(items) - 1, 0, -1):
            other = self.integer(0, last)
            items[last], items[other] = items[other], items[last]
