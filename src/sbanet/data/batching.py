"""Samples to batches: tokenise, stack, normalise.

Shape letters: B batch, H W image, T tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from sbanet.data.datasets import RecordDataset
from sbanet.data.packing import Packed
from sbanet.data.pixel_cache import CachedPixels
from sbanet.data.records import Batch, Record, Sample
from sbanet.data.sampling import Draw
from sbanet.data.transforms import Transform
from sbanet.resizing import resize_mask

Tokenize = Callable[[Sequence[str]], tuple[torch.Tensor, torch.Tensor]]


class Samples(Dataset[Sample]):
    """The samples of a split as the network sees them, for a `DataLoader` whose sampler yields `Draw`s.

    Args:
        dataset: images and masks.
        records: the samples; not necessarily all of the dataset's, nor with its sentences.
        transform: augmentation and resize.
        native_masks: whether the masks at the images' own sizes are given too; what is only learned from has no use
            for them, and most of them need not even be drawn.
        cached: the pixels at the network's size; no use to steps that see another.
    """

    def __init__(
        self,
        dataset: RecordDataset,
        records: Sequence[Record],
        transform: Transform,
        *,
        native_masks: bool = True,
        cached: CachedPixels | None = None,
    ) -> None:
        self.dataset = dataset
        self.records = records
        self.transform = transform
        self.native_masks = native_masks
        self.cached = cached
        self._packed = Packed(records)  # what loader processes look at

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, draw: Draw) -> Sample:
        return self.transform(self._read(draw), draw.seed)

    def __getitems__(self, draws: Sequence[Draw]) -> list[Sample]:
        """A batch; samples of one image that are drawn alike, side by side, share it and are augmented alike."""
        sets = groupby(draws, key=lambda draw: (draw.seed, self._packed[draw.position].image))
        return [sample for _, some in sets for sample in self._together(list(some))]

    def _together(self, draws: Sequence[Draw]) -> list[Sample]:
        first = self._read(draws[0])
        others = [self._read(draw, first.image) for draw in draws[1:]]
        return self.transform.together([first, *others], draws[0].seed)

    def _read(self, draw: Draw, image: np.ndarray | None = None) -> Sample:
        record = self._packed[draw.position]
        image, mask, native_mask = self._pixels(draw.position, record, image)
        return Sample(image=image, mask=mask, expression=record.expression, record=record, native_mask=native_mask)

    def _pixels(
        self, position: int, record: Record, image: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Image and mask, at the network's size where nobody needs another; with a cached image, the native mask.

        The image is given where another sample of it has it.
        """
        side, resize = self.transform.image_size, self.transform.resize
        if self.transform.sees_native_size or (self.native_masks and self.cached is None):
            return *self.dataset.pixels(record, image), None
        if self.cached is None:
            return *self.dataset.resized_pixels(record, side, resize, image), None
        image = self.cached.image(position) if image is None else image
        mask = self.cached.mask(position)
        if not self.native_masks:
            return image, self.dataset.resized_mask(record, side) if mask is None else mask, None
        native = self.dataset.mask(record)
        return image, resize_mask(native, side), None if native.shape == image.shape[:2] else native


def _native_targets(samples: Sequence[Sample]) -> list[torch.Tensor]:
    """The masks at the images' own sizes, one a sample; none where all have the network's size."""
    if all(sample.native_mask is None for sample in samples):
        return []
    return [torch.from_numpy(s.mask if s.native_mask is None else s.native_mask) for s in samples]


class Collate:
    """Makes a `Batch` of samples of equal size.

    Args:
        tokenizer: sentences -> token ids and mask, padded to the longest of the batch.
        mean: of each channel, on the scale 0 to 1.
        std: of each channel, on the scale 0 to 1.
        sentences_per_image: samples side by side that may share their image; one image a set of them is in the batch
            if in all sets they do. None = any number, whose images are one and the same array.
    """

    def __init__(
        self,
        tokenizer: Tokenize | Any,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        sentences_per_image: int | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.sentences_per_image = sentences_per_image
        self.scale = torch.tensor([1 / (255 * deviation) for deviation in std])
        self.offset = torch.tensor([-average / deviation for average, deviation in zip(mean, std, strict=True)])

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Stack; the image comes out channels-last in memory."""
        token_ids, token_mask = self.tokenizer([sample.expression for sample in samples])
        images, sentences = self._images(samples)
        return Batch(
            image=self.normalise(np.stack(images)),
            token_ids=token_ids,
            token_mask=token_mask,
            target=torch.from_numpy(np.stack([sample.mask for sample in samples])),
            records=[sample.record for sample in samples],
            native_targets=_native_targets(samples),
            sentences=sentences,
        )

    def _images(self, samples: Sequence[Sample]) -> tuple[list[np.ndarray], list[int]]:
        """The images of a batch, and how many samples share each."""
        images, together = [sample.image for sample in samples], self.sentences_per_image
        if together is None:
            sets = [list(some) for _, some in groupby(images, key=id)]
            return [some[0] for some in sets], [len(some) for some in sets]
        firsts = images[::together]
        pairs = ((image, firsts[place // together]) for place, image in enumerate(images))
        alike = all(image is first or np.array_equal(image, first) for image, first in pairs)
        if not alike or len(images) % together:
            return images, [1] * len(images)
        return firsts, [together] * len(firsts)

    def normalise(self, images_BHWC: np.ndarray) -> torch.Tensor:
        """(B, H, W, 3) uint8 -> (B, 3, H, W) float32: times scale, plus offset."""
        batch, height, width, channels = images_BHWC.shape
        # a row of pixels at a time: broadcasting over three numbers takes three times as long
        rows = torch.from_numpy(images_BHWC).view(batch * height, width * channels) * self.scale.repeat(width)
        rows += self.offset.repeat(width)
        return rows.view(batch, height, width, channels).permute(0, 3, 1, 2)
