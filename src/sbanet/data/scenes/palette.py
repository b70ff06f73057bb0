"""Colour words, and paints that a person would call by them."""

from __future__ import annotations

from typing import NamedTuple

from sbanet.data.scenes.dice import Dice

RGB = tuple[int, int, int]

COLOURS: dict[str, tuple[RGB, ...]] = {
    "gray": ((138, 140, 144), (122, 124, 128), (150, 151, 152)),
    "green": ((48, 130, 66), (58, 146, 76), (38, 110, 58)),
    "orange": ((224, 124, 46), (214, 112, 40), (230, 138, 58)),
    "blue": ((46, 84, 176), (54, 98, 196), (40, 70, 148)),
    "black": ((26, 26, 30), (34, 34, 38)),
    "red": ((186, 42, 44), (166, 36, 42), (200, 54, 50)),
    "white": ((236, 236, 232), (228, 230, 232)),
    "cyan": ((72, 192, 202), (86, 200, 202)),
    "yellow": ((228, 202, 62), (220, 192, 54)),
    "purple": ((124, 66, 160), (110, 58, 146)),
    "brown": ((122, 80, 48), (108, 70, 42)),
}
"""The colour words of RRSIS-D, each with the RGB values it is drawn in.

They stay apart by more than the jitter, the colour cast and the noise of a scene can move them.
"""

WORDS = tuple(COLOURS)

_JITTER = 6


class Paint(NamedTuple):
    """A colour with the word for it; None for details that nobody would name an object after."""

    rgb: RGB
    word: str | None = None

    def shaded(self, factor: float) -> Paint:
        """The same paint in less (factor < 1) or more light; the word stays."""
        if self.word == "white":
            factor = (1 + factor) / 2  # white in much less light would be called gray
        r, g, b = self.rgb
        return Paint((min(int(r * factor), 255), min(int(g * factor), 255), min(int(b * factor), 255)), self.word)

    def detail(self) -> Paint:
        """The same colour, but not one to name the object after."""
        return Paint(self.rgb)


def paint(dice: Dice, word: str) -> Paint:
    """A paint that is called `word`, never exactly the same twice."""
    r, g, b = dice.choice(COLOURS[word])
    shift = dice.integer(-_JITTER, _JITTER)
    return Paint(
        (
            _clip(r + shift + dice.integer(-3, 3)),
            _clip(g + shift + dice.integer(-3, 3)),
            _clip(b + shift + dice.integer(-3, 3)),
        ),
        word,
    )


def _clip(value: int) -> int:
    return min(max(value, 0), 255)


LINE = Paint((240, 240, 236))
"""Painted markings."""
GLASS = Paint((30, 36, 46))
ASPHALT = Paint((98, 98, 102))
CONCRETE = Paint((172, 168, 158))
GRAVEL = Paint((166, 154, 132))
FOAM = Paint((226, 234, 236))
