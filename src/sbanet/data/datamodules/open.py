"""Datasets in the open layout, which `sbanet-data convert` writes, as a data module."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from sbanet.data.datamodules.base import ReferringDataModule
from sbanet.data.open import OpenLayout
from sbanet.data.readers.open import IMAGES, OpenRow, read_records


class OpenDataModule(ReferringDataModule):
    """Any dataset that was converted.

    Args:
        name: of the dataset, in tables and run folders.
        root: its folder.
        test_split: what is scored after training.
        options: of every dataset.
    """

    def __init__(self, *, name: str, root: str | Path, test_split: str = "test", **options: Any) -> None:
        super().__init__(name=name, **options)
        self.root = Path(root)
        self.test_split = test_split

    @property
    def splits(self) -> Sequence[str]:
        """The names of the splits there are."""
        return list(dict.fromkeys(row.record.split for row in self.rows))

    @cached_property
    def rows(self) -> list[OpenRow]:
        """The records of all splits, read once."""
        return read_records(self.root)

    def dataset(self, split: str) -> OpenLayout:
        """A split."""
        return OpenLayout(self.rows, self.root / IMAGES, split=split)
