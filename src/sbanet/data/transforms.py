"""From a dataset's sample to the network's: augmentation and the size of the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import albumentations as A
import cv2
import numpy as np

from sbanet.data.augmentation import Albumentations, Step
from sbanet.data.records import Sample


class Transform:
    """Augments a sample and resizes it; the same seed gives the same result.

    Args:
        steps: applied in order before the resize. A plain albumentations transform sees image and mask, and the
            sentence stays as it is; a step of `sbanet.data.augmentation` knows the sentence and may rewrite it.
        image_size: side of the square that the network sees, in pixels; the aspect ratio is not kept.
    """

    def __init__(self, steps: Sequence[A.BasicTransform | Step] = (), *, image_size: int) -> None:
        self.image_size = image_size
        self._steps: list[Step] = [
            Albumentations([step]) if isinstance(step, A.BasicTransform | A.BaseCompose) else step for step in steps
        ]

    def __call__(self, sample: Sample, seed: int) -> Sample:
        """The sample at (image_size, image_size); the mask before the resize is kept as `native_mask`."""
        for position, step in enumerate(self._steps):
            # a stream a step: what one draws, or does not, changes nothing for the others
            sample = step(sample, np.random.default_rng([seed, position]))
        image, mask = sample.image, sample.mask
        if image.shape[:2] != (self.image_size, self.image_size):
            size = (self.image_size, self.image_size)
            shrinks = image.shape[0] >= self.image_size and image.shape[1] >= self.image_size
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
            mask = cv2.resize(mask.view("uint8"), size, interpolation=cv2.INTER_NEAREST_EXACT).astype(bool)
        native_mask = None if mask is sample.mask else sample.mask
        return replace(sample, image=image, mask=mask, native_mask=native_mask)
