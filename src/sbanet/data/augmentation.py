"""Steps of augmentation that know what the sentence says, and the adapter for those that do not.

Shape letters: H W image.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar, Literal, Protocol

import albumentations as A
import numpy as np

from sbanet.data.records import Sample
from sbanet.data.rewording import COLOURS, SHADES, may_say, reword, speaks_of_itself
from sbanet.data.symmetries import HORIZONTAL_FLIP, QUARTER_TURN, VERTICAL_FLIP, generated
from sbanet.errors import ConfigError


class Step(Protocol):
    """Makes another sample of a sample; everything random is drawn from `rng`.

    It sees the sample at the network's size; at the image's own, where it has a true attribute `at_native_size`.
    One whose draw depends on the sentence can have a method `together(samples, rng)` besides, for samples that share
    an image: it treats them alike, so that they share the new one as well.
    """

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """The other sample; the given one is not changed."""
        ...


def of_all(step: Step, samples: Sequence[Sample], draw: Callable[[], np.random.Generator]) -> list[Sample]:
    """A step's samples of samples that share an image, each with the same random numbers."""
    together = getattr(step, "together", None)
    return [step(sample, draw()) for sample in samples] if together is None else together(samples, draw())


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
        return self.together([sample], rng)[0]

    def together(self, samples: Sequence[Sample], rng: np.random.Generator) -> list[Sample]:
        """The samples of an image in a new pose to which all their sentences can be rewritten."""
        left = list(self._symmetries)
        while True:  # ends: the identity rewrites every sentence
            symmetry = left.pop(int(rng.random() * len(left)))
            reworded = (reword(sample.expression, symmetry, _names(sample)) for sample in samples)
            expressions = [expression for expression in reworded if expression is not None]
            if len(expressions) == len(samples):
                break
        image = np.ascontiguousarray(symmetry.picture(samples[0].image))
        return [
            replace(
                sample, image=image, mask=np.ascontiguousarray(symmetry.picture(sample.mask)), expression=expression
            )
            for sample, expression in zip(samples, expressions, strict=True)
        ]


class CropAroundReferent:
    """Cuts a part out of the image that has all of the referent, its middle where in the image it was.

    "On the left" is on the left again, then: as all that surrounds the referent moves away from it, nothing comes to
    its place. Only samples are cropped whose sentences speak of the referent alone (`speaks_of_itself`), since a
    landmark, a rank or a comparison may be cut away, and what is called small gets larger.

    Args:
        share: of the samples that may be cropped.
        scale: the least that is kept of each side, as a fraction; what is kept is drawn evenly from there to all.

    Raises:
        ConfigError: a share outside [0, 1], or a scale outside (0, 1].
    """

    at_native_size = True

    def __init__(self, *, share: float, scale: float) -> None:
        if not 0 <= share <= 1 or not 0 < scale <= 1:
            raise ConfigError(
                f"share={share}, scale={scale}: expected a share from 0 to 1 and a scale above 0, up to 1"
            )
        self._share, self._scale = share, scale

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """The part of the sample, or the sample as it is."""
        chosen, drawn = rng.random(2)
        if chosen >= self._share or not sample.mask.any() or not speaks_of_itself(sample.expression, _names(sample)):
            return sample
        sides = [np.flatnonzero(sample.mask.any(axis)) for axis in (1, 0)]  # rows, columns of the referent
        spans = [
            (int(inside[0]), int(inside[-1]) + 1, length)
            for inside, length in zip(sides, sample.mask.shape, strict=True)
        ]
        least = max(self._scale, *(least_part(*span) for span in spans))
        rows, columns = (part(*span, least + drawn * (1 - least)) for span in spans)
        return replace(
            sample,
            image=np.ascontiguousarray(sample.image[rows, columns]),
            mask=np.ascontiguousarray(sample.mask[rows, columns]),
        )


def least_part(first: int, end: int, length: int) -> float:
    """The smallest part of a side that has all of [first, end) with its middle at the same fraction of it."""
    middle = (first + end) / 2
    return (middle - first) / min(middle, length - middle)


def part(first: int, end: int, length: int, fraction: float) -> slice:
    """That fraction of a side, with all of [first, end) and its middle at the same fraction of it, to the pixel."""
    start = (1 - fraction) * (first + end) / 2
    return slice(min(first, round(start)), max(end, round(start + fraction * length)))


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
        return self.together([sample], rng)[0]

    def together(self, samples: Sequence[Sample], rng: np.random.Generator) -> list[Sample]:
        """The samples of an image in other colours, if none of their sentences says one."""
        if any(may_say(sample.expression, self._words, _names(sample)) for sample in samples):
            return list(samples)
        state = rng.bit_generator.state
        changed = []
        for sample in samples:
            rng.bit_generator.state = state
            changed.append(self._step(sample, rng))
        return changed


class BlackSquares:
    """Blackens squares of the image, in a fixed share of the samples; the mask stays as it is.

    Source: the official code of RMSIN (Liu et al., CVPR 2024). There, too, the samples are drawn once for a run, and
    the squares anew whenever one is read. Its very squares cannot be had, since each of its loader processes draws on
    its own; it takes the share to the sample, and places squares by the image's width in both directions, which for
    square images is the same.

    Args:
        share: of the samples; which, is a function of their ids and the seed.
        count: least and most squares of an image.
        side: of a square, in pixels of the image before any resize.
        seed: of the choice of samples.

    Raises:
        ConfigError: a share outside [0, 1], counts that are negative or out of order, or a side below 1.
    """

    at_native_size = True

    def __init__(self, *, share: float, count: tuple[int, int], side: int, seed: int) -> None:
        least, most = count
        if not 0 <= share <= 1 or not 0 <= least <= most or side < 1:
            raise ConfigError(
                f"share={share}, count={list(count)}, side={side}: expected a share from 0 to 1, "
                "two counts with the lower first, and a side of at least 1 pixel"
            )
        self._share = share
        self._least, self._most = least, most
        self._side = side
        self._seed = seed

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """The sample with squares, if it is one of the chosen, or as it is."""
        if not self._takes(sample.record.sample_id):
            return sample
        image = sample.image.copy()
        number = rng.integers(self._least, self._most, endpoint=True)
        # an image smaller than a square is covered in that direction
        lasts = [max(0, length - self._side) for length in image.shape[:2]]
        corners = [rng.integers(0, last, number, endpoint=True) for last in lasts]
        for top, left in zip(*corners, strict=True):
            image[top : top + self._side, left : left + self._side] = 0
        return replace(sample, image=image)

    def _takes(self, sample_id: str) -> bool:
        digest = hashlib.sha256(f"{self._seed}:{sample_id}".encode()).digest()
        return int.from_bytes(digest[:8], "big") < self._share * 2**64


def _names(sample: Sample) -> list[str]:
    """The words of the referent's category, which name an object in datasets of any vocabulary."""
    return sample.record.category.lower().split()
