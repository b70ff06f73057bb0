"""From a dataset's sample to the network's: augmentation and the size of the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import albumentations as A
import numpy as np

from sbanet.data.augmentation import Albumentations, Step, of_all
from sbanet.data.records import Sample
from sbanet.resizing import Resize, resize_image, resize_mask


class Transform:
    """Resizes a sample to the network's size and augments it; the same seed gives the same result.

    Augmentation comes after the resize, where it costs the least, but for the steps that say `at_native_size`. An
    augmented sample has no native mask: it is learned from, not scored.

    Args:
        steps: applied in order, those before the resize first. A plain albumentations transform sees image and mask,
            and the sentence stays as it is; a step of `sbanet.data.augmentation` knows the sentence and may rewrite it.
        image_size: side of the square that the network sees, in pixels; the aspect ratio is not kept.
        resize: how the image comes to that size.
    """

    def __init__(
        self, steps: Sequence[A.BasicTransform | Step] = (), *, image_size: int, resize: Resize = "area"
    ) -> None:
        self.image_size = image_size
        self.resize = resize
        self._steps: list[Step] = [
            Albumentations([step]) if isinstance(step, A.BasicTransform | A.BaseCompose) else step for step in steps
        ]

    @property
    def sees_native_size(self) -> bool:
        """Whether a step asks for samples before the resize."""
        return any(getattr(step, "at_native_size", False) for step in self._steps)

    def __call__(self, sample: Sample, seed: int) -> Sample:
        """The sample at (image_size, image_size), augmented; without steps, the mask as it came is `native_mask`."""
        return self.together([sample], seed)[0]

    def together(self, samples: Sequence[Sample], seed: int) -> list[Sample]:
        """The same of samples that share an image; alike, so that they share the new one where the steps allow it."""
        if not self._steps:
            fitted = self._resized(samples)
            pairs = zip(samples, fitted, strict=True)
            return [fit if fit is sample else replace(fit, native_mask=sample.mask) for sample, fit in pairs]
        fitted = self._resized(self._augmented(samples, seed, at_native_size=True))
        return self._resized(self._augmented(fitted, seed, at_native_size=False))  # again, after a step that crops

    def _augmented(self, samples: Sequence[Sample], seed: int, *, at_native_size: bool) -> list[Sample]:
        for position, step in enumerate(self._steps):
            if getattr(step, "at_native_size", False) == at_native_size:
                # a stream a step: what one draws, or does not, changes nothing for the others
                samples = of_all(step, samples, partial(np.random.default_rng, [seed, position]))
        return list(samples)

    def _resized(self, samples: Sequence[Sample]) -> list[Sample]:
        side, found = self.image_size, list[Sample]()
        for place, sample in enumerate(samples):
            if sample.image.shape[:2] != (side, side):
                shared = place > 0 and sample.image is samples[place - 1].image
                image = found[-1].image if shared else resize_image(sample.image, side, self.resize)
                sample = replace(sample, image=image, mask=resize_mask(sample.mask, side))
            found.append(sample)
        return found
