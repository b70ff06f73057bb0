"""Datasets of image and mask files with lists of phrases, such as RefSegRS and RISBench, as a data module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sbanet.data.datamodules.base import ReferringDataModule, require_whole
from sbanet.data.phrase_folders import PhraseFolders, first_folder
from sbanet.errors import DataError


class PhraseFoldersDataModule(ReferringDataModule):
    """RefSegRS, RISBench and other datasets of files with phrases.

    Args:
        name: of the dataset, in tables and run folders.
        root: folder of the dataset.
        phrases: the text file of each split, below the root.
        images: folders of the images, below the root; the first that is there is read.
        masks: folders of the masks, likewise.
        foreground_above: a pixel of a mask above this value is of the referent.
        options: of every dataset.
    """

    def __init__(
        self,
        *,
        name: str,
        root: str | Path,
        phrases: Mapping[str, str],
        images: Sequence[str],
        masks: Sequence[str],
        foreground_above: int,
        **options: Any,
    ) -> None:
        super().__init__(name=name, **options)
        require_whole(0, foreground_above=foreground_above)
        self.root = Path(root)
        self.phrases = dict(phrases)
        self.images = list(images)
        self.masks = list(masks)
        self.foreground_above = foreground_above

    @property
    def splits(self) -> Sequence[str]:
        """The names of the splits there are."""
        return list(self.phrases)

    def dataset(self, split: str) -> PhraseFolders:
        """Read a split's phrases."""
        if split not in self.phrases:
            raise DataError(f"split={split!r}: {self.name} has no such split; known: {', '.join(self.phrases)}")
        return PhraseFolders(
            self.root / self.phrases[split],
            first_folder(self.root, self.images),
            first_folder(self.root, self.masks),
            split=split,
            foreground_above=self.foreground_above,
        )
