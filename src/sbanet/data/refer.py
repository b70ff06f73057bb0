"""A split of a dataset in the layout of REFER: RRSIS-D and its kin."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from sbanet.data.datasets import RecordDataset, annotated_image
from sbanet.data.readers.refer import read_refer
from sbanet.data.records import Record
from sbanet.errors import DataError


class Refer(RecordDataset):
    """One sample a sentence, in the order of the file.

    Args:
        refs: the pickle of referents.
        instances: the COCO json with their masks.
        images: the folder of the images.
        split: its name in the file.

    Raises:
        DataError: the annotations cannot be read, or there is no such split.
    """

    def __init__(self, refs: Path, instances: Path, images: Path, *, split: str) -> None:
        self._folder = images
        referents = read_refer(refs, instances)
        chosen = [referent for referent in referents if referent.split == split]
        if not chosen:
            known = ", ".join(sorted({referent.split for referent in referents})) or "none"
            raise DataError(f"split={split!r}: {refs} has no such split; known: {known}")
        self._referents = {str(referent.ref): referent for referent in chosen}
        records = [
            Record(
                sample_id=f"{split}-{referent.ref}-{number}",
                image=str(referent.ref),
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
        about = self._referents[record.image]
        return annotated_image(self._folder / about.file, about.height, about.width)

    def mask(self, record: Record) -> np.ndarray:
        """(H, W) bool."""
        return self._referents[record.image].mask()
