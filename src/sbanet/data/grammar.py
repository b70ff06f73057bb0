"""Instances of a scene -> expressions that are true of exactly one of them."""

from __future__ import annotations

from dataclasses import dataclass

SKILLS = ("category", "colour", "size", "shape", "position", "relation", "comparison", "ordinal")
"""What an expression can demand of its reader; the tags of every generated sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One object of a scene, as far as language can speak of it.

    Attributes:
        category: in plain words, lower case ("ground track field").
        box: (x0, y0, x1, y1) of the visible pixels, in pixels.
        area: number of visible pixels.
        colours: colour words, the dominant first; empty where unknown.
        shape: one shape word or phrase ("oval", "slender", "frustum of a cone"), None where unknown.
    """

    category: str
    box: tuple[float, float, float, float]
    area: float
    colours: tuple[str, ...] = ()
    shape: str | None = None

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y) of the box's middle, in pixels."""
        x0, y0, x1, y1 = self.box
        return (x0 + x1) / 2, (y0 + y1) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """A sentence, the index of the one instance it is true of, and the skills it needs."""

    text: str
    referent: int
    skills: tuple[str, ...]
