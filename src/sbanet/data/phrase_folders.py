"""A split of a dataset of image and mask files with a list of phrases: RefSegRS, RISBench."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sbanet.data.datasets import RecordDataset
from sbanet.data.readers.phrases import read_phrases
from sbanet.data.records import Record
from sbanet.errors import DataError
from sbanet.images import SUFFIXES, read_image
from sbanet.resizing import Resize, resize_image, resize_mask


class PhraseFolders(RecordDataset):
    """One sample a line of the phrases' file; image and mask have the line's first word as their name.

    Args:
        phrases: the split's file.
        images: folder of the images.
        masks: folder of the masks, grey.
        split: its name.
        foreground_above: a pixel of a mask above this value is of the referent.

    Raises:
        DataError: the phrases cannot be read.
    """

    masks_are_files = True

    def __init__(self, phrases: Path, images: Path, masks: Path, *, split: str, foreground_above: int) -> None:
        self._images, self._masks = files_by_stem(images), files_by_stem(masks)
        self._folders = images, masks
        self._above = foreground_above
        lines = read_phrases(phrases)
        records = [
            Record(
                sample_id=f"{split}-{line.key}-{number}",
                image=line.key,
                instance=0,
                expression=line.text,
                split=split,
                category="",
            )
            for line, number in zip(lines, _numbered([line.key for line in lines]), strict=True)
        ]
        if not records:
            raise DataError(f"{phrases}: has no phrase; expected `<id> <phrase>` a line")
        spoken = "\n".join(f"{record.sample_id} {record.expression}" for record in records)
        digest = hashlib.sha256(f"{foreground_above}\n{spoken}".encode(errors="surrogatepass"))
        super().__init__(records, fingerprint=digest.hexdigest()[:16])

    def files(self, record: Record) -> tuple[Path, ...]:
        """The image's file and the mask's."""
        found = self._images.get(record.image), self._masks.get(record.image)
        return tuple(path or folder / f"{record.image}.*" for path, folder in zip(found, self._folders, strict=True))

    def image(self, record: Record) -> np.ndarray:
        """(H, W, 3) uint8, RGB.

        Raises:
            DataError: the file is missing or damaged.
        """
        return read_image(self.files(record)[0])

    def mask(self, record: Record) -> np.ndarray:
        """(H, W) bool.

        Raises:
            DataError: the file is missing or damaged.
        """
        return read_image(self.files(record)[1])[..., 0] > self._above

    def pixels(self, record: Record, image: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Image and mask; the image as given, where it was read for a sample before.

        Raises:
            DataError: a file is missing or damaged, or they differ in size.
        """
        image, mask = super().pixels(record, image)
        if image.shape[:2] != mask.shape:
            raise DataError(
                f"{self.files(record)[1]}: the mask has {mask.shape[0]}x{mask.shape[1]} pixels, "
                f"its image {image.shape[0]}x{image.shape[1]}; download both anew"
            )
        return image, mask

    def resized_pixels(
        self, record: Record, side: int, resize: Resize, image: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Image and mask as the network sees them; the image as given, where it is.

        Raises:
            DataError: a file is missing or damaged, or they differ in size.
        """
        if image is not None:  # then the sizes were compared
            return image, self.resized_mask(record, side)
        native, mask = self.pixels(record)
        return resize_image(native, side, resize), resize_mask(mask, side)


def files_by_stem(folder: Path) -> dict[str, Path]:
    """The image files of a folder by their names without suffix.

    Raises:
        DataError: there is no such folder.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise DataError(f"{folder}: is no folder that can be read ({error.strerror}); see data.root") from error
    return {path.stem: path for path in files}


def first_folder(root: Path, names: Sequence[str]) -> Path:
    """The first of some folders that is there; the first of all where none is."""
    return next((root / name for name in names if (root / name).is_dir()), root / names[0])


def _numbered(keys: Sequence[str]) -> list[int]:
    """How often each key stood before: 0 for its first sentence, 1 for its second."""
    seen: dict[str, int] = {}
    numbers = []
    for key in keys:
        numbers.append(seen.get(key, 0))
        seen[key] = numbers[-1] + 1
    return numbers
