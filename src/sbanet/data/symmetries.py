"""The eight symmetries of a picture: flips, quarter turns, and what they combine to.

Shape letters: H W image, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BEARINGS = 8
"""Directions that language tells apart; number k is 45 k degrees clockwise from the top of the picture."""


@dataclass(frozen=True, slots=True)
class Symmetry:
    """A mirroring of left and right, or none, and then quarter turns.

    Attributes:
        mirrored: whether left and right change places first.
        turns: quarter turns clockwise after that, 0 to 3.

    Raises:
        ValueError: another number of turns.
    """

    mirrored: bool
    turns: int

    def __post_init__(self) -> None:
        """One symmetry, one pair of numbers."""
        if not 0 <= self.turns < 4:
            raise ValueError(f"turns={self.turns}: expected 0, 1, 2 or 3 quarter turns")

    def picture(self, pixels: np.ndarray) -> np.ndarray:
        """A view of (H, W) or (H, W, C) pixels as the symmetry shows them; an odd number of turns swaps H and W."""
        return np.rot90(pixels[:, ::-1] if self.mirrored else pixels, -self.turns)

    def bearing(self, bearing: int) -> int:
        """Where a direction points afterwards, 0 to `BEARINGS` - 1."""
        return ((-bearing if self.mirrored else bearing) + 2 * self.turns) % BEARINGS

    def then(self, second: Symmetry) -> Symmetry:
        """This symmetry and a second one after it, as one."""
        turns = -self.turns if second.mirrored else self.turns
        return Symmetry(self.mirrored != second.mirrored, (turns + second.turns) % 4)


SYMMETRIES = tuple(Symmetry(mirrored, turns) for mirrored in (False, True) for turns in range(4))
"""All of them; those that are mirrored and turned once or thrice reflect in a diagonal."""

IDENTITY = Symmetry(mirrored=False, turns=0)
HORIZONTAL_FLIP = Symmetry(mirrored=True, turns=0)
VERTICAL_FLIP = Symmetry(mirrored=True, turns=2)
QUARTER_TURN = Symmetry(mirrored=False, turns=1)


def generated(*generators: Symmetry) -> tuple[Symmetry, ...]:
    """All symmetries that the given ones combine to, the identity first."""
    found = [IDENTITY]
    for symmetry in found:  # grows while it is walked
        for generator in generators:
            if (product := symmetry.then(generator)) not in found:
                found.append(product)
    return tuple(found)
