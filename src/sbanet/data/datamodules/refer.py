"""Datasets in the layout of REFER, such as RRSIS-D, as a data module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from sbanet.data.datamodules.base import ReferringDataModule
from sbanet.data.readers.refer import Referent, read_refer
from sbanet.data.refer import Refer
from sbanet.errors import DataError


class ReferDataModule(ReferringDataModule):
    """RRSIS-D and other datasets of referents with sentences.

    Args:
        name: of the dataset, in tables and run folders.
        root: folder of the dataset.
        refs: the pickle of referents, below the root.
        instances: the COCO json with their masks, below the root.
        images: folder of the images, below the root.
        splits: names in the file of train, val and others.
        test_split: what is scored after training.
        options: of every dataset.
    """

    def __init__(
        self,
        *,
        name: str,
        root: str | Path,
        refs: str,
        instances: str,
        images: str,
        splits: Mapping[str, str],
        test_split: str = "test",
        **options: Any,
    ) -> None:
        super().__init__(name=name, **options)
        self.root = Path(root)
        self.refs = refs
        self.instances = instances
        self.images = images
        self.split_names = dict(splits)
        self.test_split = test_split

    @property
    def splits(self) -> Sequence[str]:
        """The names of the splits there are."""
        return list(self.split_names)

    def dataset(self, split: str) -> Refer:
        """Read a split's annotations."""
        if split not in self.split_names:
            raise DataError(f"split={split!r}: {self.name} has no such split; known: {', '.join(self.split_names)}")
        return Refer(self.referents, self.root / self.images, split=self.split_names[split])

    @cached_property
    def referents(self) -> list[Referent]:
        """Those of all splits, read once."""
        return read_refer(self.root / self.refs, self.root / self.instances)
