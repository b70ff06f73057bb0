"""What all datasets are: records, and how to see the image and the mask of one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from sbanet.data.records import Record
from sbanet.errors import DataError
from sbanet.images import read_image
from sbanet.resizing import Resize, resize_image, resize_mask


class RecordDataset(ABC):
    """A split of a dataset: cheap records, and pixels on demand.

    Args:
        records: the samples, in the dataset's own order.
        fingerprint: a hash of the content; runs over equal fingerprints are comparable.

    Raises:
        DataError: there are no records.
    """

    masks_are_files: ClassVar[bool] = False
    """Whether a mask is one of the `files` of its record, not something in the annotations."""

    def __init__(self, records: Sequence[Record], *, fingerprint: str) -> None:
        if not records:
            raise DataError(f"{type(self).__name__}: the split has no samples; check the dataset's settings")
        self.records = records
        self.fingerprint = fingerprint

    @abstractmethod
    def image(self, record: Record) -> np.ndarray:
        """(H, W, 3) uint8, RGB."""

    @abstractmethod
    def mask(self, record: Record) -> np.ndarray:
        """(H, W) bool, True = the referent."""

    def pixels(self, record: Record, image: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Image and mask, of one size; the image as given, where it was read for a sample before."""
        return self.image(record) if image is None else image, self.mask(record)

    def resized_image(self, record: Record, side: int, resize: Resize) -> np.ndarray:
        """The image as the network sees it, (side, side, 3) uint8."""
        return resize_image(self.image(record), side, resize)

    def resized_mask(self, record: Record, side: int) -> np.ndarray:
        """The mask as the network sees it, (side, side) bool."""
        return resize_mask(self.mask(record), side)

    def resized_pixels(
        self, record: Record, side: int, resize: Resize, image: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Image and mask as the network sees them: (side, side, 3) uint8, which may be given, and (side, side) bool."""
        return self.resized_image(record, side, resize) if image is None else image, self.resized_mask(record, side)

    def files(self, record: Record) -> tuple[Path, ...]:
        """The files of pixels that a sample is read from, its image first; none of a drawn one."""
        return ()

    def __len__(self) -> int:
        return len(self.records)


def annotated_image(path: Path, height: int, width: int) -> np.ndarray:
    """An image of the size that its annotation says, (H, W, 3) uint8, RGB.

    Raises:
        DataError: the file is missing, damaged, or of another size.
    """
    pixels = read_image(path)
    if pixels.shape[:2] != (height, width):
        raise DataError(f"{path}: has {pixels.shape[0]}x{pixels.shape[1]} pixels, its annotation says {height}x{width}")
    return pixels


SENTENCES = ("own", "other", "none")
"""What `swap_sentences` can put in place of a sample's sentence."""


def swap_sentences(records: Sequence[Record], sentence: str) -> list[Record]:
    """The same referents under another sentence: controls of whether, and how, a model listens.

    Args:
        records: the samples of a split.
        sentence: `own` = as they are; `other` = the sentence of another object of the same image (samples whose
            image has no other are left out); `none` = the empty sentence.

    Raises:
        DataError: `sentence` is unknown, or no sample is left.
    """
    if sentence == "own":
        return list(records)
    if sentence == "none":
        return [record.with_expression("") for record in records]
    if sentence != "other":
        raise DataError(f"data.sentence={sentence!r}: expected {', '.join(SENTENCES)}")
    of_image: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        of_image[record.image].append(record)
    swapped = []
    for record in records:
        others = [other for other in of_image[record.image] if other.instance != record.instance]
        if others:
            # the next in the image's order, so that every sentence is used about equally often
            following = [other for other in others if other.sample_id > record.sample_id]
            swapped.append(record.with_expression((following or others)[0].expression))
    if not swapped:
        raise DataError("data.sentence=other: no image has the sentences of two objects; choose own or none")
    return swapped
