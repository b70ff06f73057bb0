"""From a dataset's sample to the network's: augmentation (albumentations) and the size of the network."""

from __future__ import annotations

from collections.abc import Sequence

import albumentations as A
import cv2

from sbanet.data.records import Sample


class Transform:
    """Augments a sample and resizes it; the same seed gives the same result.

    Args:
        steps: albumentations transforms, applied in order before the resize. They see image and mask; the
            sentence stays as it is, so geometric ones that move left to right have no place here.
        image_size: side of the square that the network sees, in pixels; the aspect ratio is not kept.
    """

    def __init__(self, steps: Sequence[A.BasicTransform] = (), *, image_size: int) -> None:
        self.image_size = image_size
        self._augment = A.Compose(list(steps)) if steps else None

    def __call__(self, sample: Sample, seed: int) -> Sample:
        """The sample at (image_size, image_size); the mask before the resize is kept as `native_mask`."""
        image, mask = sample.image, sample.mask
        if self._augment is not None:
            self._augment.set_random_seed(seed)
            result = self._augment(image=image, mask=mask.view("uint8"))
            image, mask = result["image"], result["mask"].astype(bool)
        native_mask = mask
        if image.shape[:2] != (self.image_size, self.image_size):
            size = (self.image_size, self.image_size)
            shrinks = image.shape[0] >= self.image_size and image.shape[1] >= self.image_size
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
            mask = cv2.resize(mask.view("uint8"), size, interpolation=cv2.INTER_NEAREST_EXACT).astype(bool)
        return Sample(
            image=image,
            mask=mask,
            expression=sample.expression,
            record=sample.record,
            native_mask=None if native_mask is mask else native_mask,
        )
