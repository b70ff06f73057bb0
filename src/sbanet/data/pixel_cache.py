"""Images as the network sees them, decoded and resized once into memory-mapped arrays that all jobs of a machine share.

Masks are kept too where they are files; those that are run lengths are quicker drawn than looked up.

Shape letters: S the network's side.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import PIL

from sbanet.data.datasets import RecordDataset
from sbanet.data.mapped import in_processes, make_once, reserve
from sbanet.data.records import Record
from sbanet.errors import DataError
from sbanet.resizing import Resize

FORMAT = 1
"""Of the caches: raised whenever reading or resizing changes, so that nobody reads what was made before."""

CHUNK = 64
"""Images that a process reads at a time."""

logger = logging.getLogger(__name__)

Files = tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class CachedPixels:
    """The pixels of some records.

    Attributes:
        images: (images, S, S, 3) uint8, memory-mapped.
        masks: (images, S, S) bool, memory-mapped; None where masks are not files.
        rows: which image is that of each record.
    """

    images: np.ndarray
    masks: np.ndarray | None
    rows: np.ndarray

    def image(self, position: int) -> np.ndarray:
        """The image of the record at a position, (S, S, 3) uint8."""
        return self.images[self.rows[position]]

    def mask(self, position: int) -> np.ndarray | None:
        """Its mask, (S, S) bool, where masks are kept."""
        return None if self.masks is None else self.masks[self.rows[position]]


def cached_pixels(
    dataset: RecordDataset, records: Sequence[Record], root: Path, *, side: int, resize: Resize
) -> CachedPixels:
    """Open the cache of a split; read its images first where it is missing.

    A cache belongs to the dataset's content and to the names, sizes and times of its files: of a file that has changed
    nothing old is ever given. Any number of processes may ask at once: one reads, the others wait.

    Args:
        dataset: the split.
        records: its samples, or a choice of them.
        root: folder of the caches.
        side: of the square that the network sees, pixels.
        resize: how images come to that size.

    Raises:
        DataError: an image cannot be read, or the cache not be written or is damaged.
    """
    making = _Making(dataset, side, resize)
    folder = root / f"pixels-{side}-{making.fingerprint()}"
    try:
        make_once(folder, making)
    except OSError as error:
        raise DataError(
            f"{folder}: {making.gigabytes:.1f} GB of images cannot be cached ({error.strerror or error}); "
            "free some space, set data.cache to a folder that can be written, or to null"
        ) from error
    try:
        images = np.load(folder / "images.npy", mmap_mode="r")
        masks = np.load(folder / "masks.npy", mmap_mode="r") if dataset.masks_are_files else None
        if images.shape != making.shape or (masks is not None and masks.shape != making.shape[:3]):
            raise ValueError(f"it holds {images.shape}, expected {making.shape}")
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{folder}: the cache is damaged ({error}); delete the folder, it is made anew") from error
    row_of = {files: row for row, files in enumerate(making.firsts)}
    return CachedPixels(images, masks, np.array([row_of[dataset.files(record)] for record in records]))


class _Making:
    """Fills the folder of a cache.

    Args:
        dataset: the split.
        side: pixels.
        resize: how images come to that size.
    """

    def __init__(self, dataset: RecordDataset, side: int, resize: Resize) -> None:
        self.dataset = dataset
        self.side = side
        self.resize: Resize = resize
        self.firsts: dict[Files, Record] = {}  # the first record of each image, which may have several
        for record in dataset.records:
            self.firsts.setdefault(dataset.files(record), record)
        self.shape = (len(self.firsts), side, side, 3)

    @property
    def gigabytes(self) -> float:
        """What the cache takes."""
        return float(np.prod(self.shape)) * (4 / 3 if self.dataset.masks_are_files else 1) / 1e9

    def fingerprint(self) -> str:
        """A hash of all that the cache's content depends on.

        Raises:
            DataError: there is no such file.
        """
        settings = [FORMAT, cv2.__version__, PIL.__version__, self.resize, self.dataset.fingerprint]
        digest = hashlib.sha256(json.dumps(settings).encode())
        for files in self.firsts:
            for path in files:
                digest.update(f"{path.absolute()} {_state(path)}\n".encode(errors="surrogatepass"))
        return digest.hexdigest()[:16]

    def __call__(self, folder: Path) -> None:
        """Read all images.

        Raises:
            DataError: one cannot be read, or has changed meanwhile.
        """
        before = self.fingerprint()
        logger.info(
            "caching %d images at %d x %d (%.1f GB) in %s", len(self.firsts), *self.shape[1:3], self.gigabytes,
            folder.parent,
        )  # fmt: skip
        reserve(folder / "images.npy", self.shape)
        if self.dataset.masks_are_files:
            reserve(folder / "masks.npy", self.shape[:3], bool)
        in_processes(partial(self._read, folder), range(0, len(self.firsts), CHUNK))
        if self.fingerprint() != before:
            raise DataError(f"{folder.parent}: an image was changed while it was cached; start again")

    def _read(self, folder: Path, start: int) -> None:
        cv2.setNumThreads(0)
        images = np.load(folder / "images.npy", mmap_mode="r+")
        masks = np.load(folder / "masks.npy", mmap_mode="r+") if self.dataset.masks_are_files else None
        for row, record in islice(enumerate(self.firsts.values()), start, start + CHUNK):
            if masks is None:
                images[row] = self.dataset.resized_image(record, self.side, self.resize)
            else:
                images[row], masks[row] = self.dataset.resized_pixels(record, self.side, self.resize)


def _state(path: Path) -> str:
    """What changes with a file's content."""
    try:
        about = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); complete the download") from error
    return f"{about.st_size} {about.st_mtime_ns} {about.st_ctime_ns}"
