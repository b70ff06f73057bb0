"""A split of a dataset in the layout of REFER: RRSIS-D and its kin."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from sbanet.data.datasets import RecordDataset, annotated_image
from sbanet.data.packing import PackedByKey
from sbanet.data.readers.refer import Referent
from sbanet.data.readers.segmentations import require_covering, resized_mask
from sbanet.data.records import Record
from sbanet.errors import DataError


class Refer(RecordDataset):
    """One sample a sentence, in the order of the file.

    Args:
        referents: of all splits, as `sbanet.data.readers.refer.read_refer` gives them.
        images: the folder of the images.
        split: its name in the file.

    Raises:
        DataError: there is no such split.
    """

    def __init__(self, referents: Sequence[Referent], images: Path, *, split: str) -> None:
        self._folder = images
        chosen = [referent for referent in referents if referent.split == split]
        if not chosen:
            known = ", ".join(sorted({referent.split for referent in referents})) or "none"
            raise DataError(f"split={split!r}: the annotations have no such split; known: {known}")
        self._referents = PackedByKey((referent.annotation, referent) for referent in chosen)
        records = [
            Record(
                sample_id=f"{split}-{referent.ref}-{number}",
                image=referent.file,
                instance=referent.annotation,
                expression=sentence,
                split=split,
                category=referent.category,
                tags=(),
            )
            for referent in chosen
            for number, sentence in enumerate(referent.sentences)
        ]
        spoken = "\n".join(f"{record.sample_id} {record.instance} {record.expression}" for record in records)
        digest = hashlib.sha256(spoken.encode(errors="surrogatepass"))
        digest.update("".join(str(referent.segmentation) for referent in chosen).encode())
        super().__init__(records, fingerprint=digest.hexdigest()[:16])

    def image(self, record: Record) -> np.ndarray:
        """(H, W, 3) uint8, RGB.

        Raises:
            DataError: the file is missing, damaged, or of another size than its annotation says.
        """
        about = self._referents[record.instance]
        return annotated_image(self._folder / about.file, about.height, about.width)

    def files(self, record: Record) -> tuple[Path, ...]:
        """The image's file."""
        return (self._folder / record.image,)

    def mask(self, record: Record) -> np.ndarray:
        """(H, W) bool.

        Raises:
            DataError: the run lengths are damaged.
        """
        referent = self._referents[record.instance]
        with _told_of(referent):
            require_covering(referent.segmentation, referent.height, referent.width)
        return referent.mask()

    def resized_mask(self, record: Record, side: int) -> np.ndarray:
        """(side, side) bool, straight from the run lengths.

        Raises:
            DataError: the run lengths are damaged.
        """
        referent = self._referents[record.instance]
        with _told_of(referent):
            return resized_mask(referent.segmentation, referent.height, referent.width, side)


@contextmanager
def _told_of(referent: Referent) -> Iterator[None]:
    """Say of an error of the run lengths whose they are."""
    try:
        yield
    except DataError as error:
        raise DataError(
            f"annotation {referent.annotation} of {referent.file}: {error}; mend it, or remove it and its referent"
        ) from error
