"""Steps of augmentation that know what the sentence says, and the adapter for those that do not.

Shape letters: H W image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal, Protocol

import albumentations as A
import numpy as np

from sbanet.data.records import Sample
from sbanet.data.rewording import COLOURS, SHADES, may_say, reword
from sbanet.data.symmetries import HORIZONTAL_FLIP, QUARTER_TURN, VERTICAL_FLIP, generated
from sbanet.errors import ConfigError


class Step(Protocol):
    """Makes another sample of a sample; everything random is drawn from `rng`."""

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """The other sample; the given one is not changed."""
        ...


class FlipsAndTurns:
    """Flips and turns image and mask, and rewrites the sentence to say the same of them.

    Each sample draws one of the symmetries that the allowed ones combine to, its own pose included; all are
    equally likely, except those to which its sentence cannot be rewritten (see `sbanet.data.rewording`).

    Args:
        horizontal: allow to swap left and right.
        vertical: allow to swap top and bottom.
        turns: allow quarter turns; with either flip, also the reflections in the diagonals.

    Raises:
        ConfigError: nothing is allowed.
    """

    def __init__(self, *, horizontal: bool, vertical: bool, turns: bool) -> None:
        allowed = {HORIZONTAL_FLIP: horizontal, VERTICAL_FLIP: vertical, QUARTER_TURN: turns}
        if not any(allowed.values()):
            raise ConfigError("horizontal, vertical and turns are all false: allow one, or leave the step out")
        self._symmetries = generated(*(symmetry for symmetry, wanted in allowed.items() if wanted))

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """The sample in its new pose."""
        left = list(self._symmetries)
        while True:  # ends: the identity rewrites every sentence
            symmetry = left.pop(int(rng.random() * len(left)))
            expression = reword(sample.expression, symmetry, _names(sample))
            if expression is not None:
                return replace(
                    sample,
                    image=np.ascontiguousarray(symmetry.picture(sample.image)),
                    mask=np.ascontiguousarray(symmetry.picture(sample.mask)),
                    expression=expression,
                )


class Albumentations:
    """albumentations transforms as one step: they see image and mask, and the sentence stays as it is.

    So they must not move left to right or top to bottom: `FlipsAndTurns` does.

    Args:
        transforms: applied in order, each with its own probability.
    """

    def __init__(self, transforms: Sequence[A.BasicTransform | A.BaseCompose]) -> None:
        self._compose = A.Compose(list(transforms))

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """The sample with another image and mask."""
        self._compose.set_random_seed(int(rng.random() * 2**31))
        result = self._compose(image=sample.image, mask=sample.mask.view("uint8"))
        return replace(sample, image=result["image"], mask=result["mask"].astype(bool))


class KeepColours:
    """Changes colours only where the sentence says none that would become false.

    A sentence with a word that nobody knows is left alone too: it may be a colour ("grey").

    Args:
        changes: what the transforms change: `hue` (or saturation, with or without brightness) spares the samples
            whose sentences say any colour, `brightness` (or contrast) those that say a light or a dark one.
        transforms: albumentations transforms, applied in order.

    Raises:
        ConfigError: `changes` is unknown.
    """

    SPARED: ClassVar = {"hue": COLOURS, "brightness": SHADES}

    def __init__(
        self, *, changes: Literal["hue", "brightness"], transforms: Sequence[A.BasicTransform | A.BaseCompose]
    ) -> None:
        if changes not in self.SPARED:
            raise ConfigError(f"changes={changes}: expected {' or '.join(self.SPARED)}")
        self._words = self.SPARED[changes]
        self._step = Albumentations(transforms)

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """The sample in other colours, or as it is."""
        return sample if may_say(sample.expression, self._words, _names(sample)) else self._step(sample, rng)


def _names(sample: Sample) -> list[str]:
    """The words of the referent's category, which name an object in datasets of any vocabulary."""
    return sample.record.category.lower().split()
