"""A dataset in the open layout: reading a split of it, and writing any dataset to it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from sbanet.data.datasets import RecordDataset, annotated_image
from sbanet.data.packing import PackedByKey
from sbanet.data.readers.open import IMAGES, OpenRow, write_records
from sbanet.data.readers.segmentations import require_covering, resized_mask
from sbanet.data.records import Record
from sbanet.errors import DataError
from sbanet.files import image_file_name, write_atomically

How = Literal["copy", "link"]
"""What becomes of image files: `copy`, or a symbolic link to where they are."""


class OpenLayout(RecordDataset):
    """A split of a dataset in the open layout.

    Args:
        rows: of all splits, as `sbanet.data.readers.open.read_records` gives them.
        images: folder of the images.
        split: its name.

    Raises:
        DataError: there is no such split.
    """

    def __init__(self, rows: Sequence[OpenRow], images: Path, *, split: str) -> None:
        self._folder = images
        chosen = [row for row in rows if row.record.split == split]
        if not chosen:
            known = ", ".join(sorted({row.record.split for row in rows})) or "none"
            raise DataError(f"split={split!r}: the records have no such split; known: {known}")
        self._rows = PackedByKey((row.record.sample_id, row) for row in chosen)
        content = "\n".join(f"{row.record} {row.file} {row.height} {row.width} {row.counts}" for row in chosen)
        digest = hashlib.sha256(content.encode(errors="surrogatepass")).hexdigest()
        super().__init__([row.record for row in chosen], fingerprint=digest[:16])

    def files(self, record: Record) -> tuple[Path, ...]:
        """The image's file."""
        return (self._folder / self._rows[record.sample_id].file,)

    def image(self, record: Record) -> np.ndarray:
        """(H, W, 3) uint8, RGB.

        Raises:
            DataError: the file is missing, damaged, or of another size than the records say.
        """
        row = self._rows[record.sample_id]
        return annotated_image(self._folder / row.file, row.height, row.width)

    def mask(self, record: Record) -> np.ndarray:
        """(H, W) bool.

        Raises:
            DataError: the run lengths are damaged.
        """
        row = self._rows[record.sample_id]
        with self._told_of(row):
            require_covering(_rle(row), row.height, row.width)
        return coco_mask.decode(_rle(row)).astype(bool)

    def resized_mask(self, record: Record, side: int) -> np.ndarray:
        """(side, side) bool, straight from the run lengths.

        Raises:
            DataError: the run lengths are damaged.
        """
        row = self._rows[record.sample_id]
        with self._told_of(row):
            return resized_mask(_rle(row), row.height, row.width, side)

    @contextmanager
    def _told_of(self, row: OpenRow) -> Iterator[None]:
        """Say of an error of the run lengths whose they are."""
        try:
            yield
        except DataError as error:
            sample = row.record.sample_id
            raise DataError(f"{self._folder.parent}: sample {sample}: {error}; convert it anew") from error


def _rle(row: OpenRow) -> dict[str, object]:
    return {"size": [row.height, row.width], "counts": row.counts}


def convert(datasets: Mapping[str, RecordDataset], folder: Path, how: How) -> int:
    """Write the splits of a dataset in the open layout; the records come last, so that half a dataset has none.

    Args:
        datasets: the splits.
        folder: new or empty.
        how: what becomes of image files; drawn images are written as PNG.

    Returns:
        The number of samples.

    Raises:
        DataError: the folder has something in it or cannot be written, or a sample cannot be read.
    """
    try:
        if folder.exists() and any(folder.iterdir()):
            raise DataError(f"out={folder}: is not empty; give a new folder")
        (folder / IMAGES).mkdir(parents=True, exist_ok=True)
        writer = _Writer(folder / IMAGES, how)
        rows = [writer.row(split, dataset, record) for split, dataset in datasets.items() for record in dataset.records]
        write_records(folder, rows)
    except OSError as error:
        raise DataError(f"out={folder}: cannot be written ({error.strerror or error})") from error
    return len(rows)


class _Writer:
    """Writes every image once, and encodes every mask once.

    Args:
        folder: of the images.
        how: what becomes of image files.
    """

    def __init__(self, folder: Path, how: How) -> None:
        self.folder = folder
        self.how = how
        self.names: dict[object, str] = {}
        self.taken: set[str] = set()
        self.masks: dict[tuple[str, str, int], tuple[int, int, str]] = {}

    def row(self, split: str, dataset: RecordDataset, record: Record) -> OpenRow:
        """A record's row; its image is in the folder afterwards."""
        described = (split, record.image, record.instance)
        if described not in self.masks:
            rle = coco_mask.encode(np.asfortranarray(dataset.mask(record).view(np.uint8)))
            self.masks[described] = (*rle["size"], rle["counts"].decode())
        return OpenRow(record, self._image(split, dataset, record), *self.masks[described])

    def _image(self, split: str, dataset: RecordDataset, record: Record) -> str:
        file = next(iter(dataset.files(record)), None)
        source: object = file or (split, record.image)
        if source not in self.names:
            name = self._free_name(Path(record.image).stem, ".png" if file is None else file.suffix)
            self.names[source] = name
            self.taken.add(name)
            self._write(dataset, record, file, self.folder / name)
        return self.names[source]

    def _free_name(self, stem: str, suffix: str) -> str:
        stem = image_file_name(stem)
        name, number = f"{stem}{suffix}", 1
        while name in self.taken:
            name, number = f"{stem}-{number}{suffix}", number + 1
        return name

    def _write(self, dataset: RecordDataset, record: Record, file: Path | None, target: Path) -> None:
        if file is None:
            image = cv2.cvtColor(dataset.image(record), cv2.COLOR_RGB2BGR)
            write_atomically(target, cv2.imencode(".png", image)[1].tobytes())
        elif not file.is_file():
            raise DataError(f"{file}: no such file; complete the download, or correct data.root")
        elif self.how == "link":
            target.symlink_to(file.resolve())
        else:
            shutil.copyfile(file, target)
