"""Any dataset with COCO instance annotations as a data module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sbanet.data.datamodules.base import ReferringDataModule, require_whole
from sbanet.data.grammar import Grammar
from sbanet.data.instances import Instances
from sbanet.errors import ConfigError, DataError


class InstancesDataModule(ReferringDataModule):
    """Any dataset with COCO instance annotations; the grammar writes its sentences.

    Args:
        name: of the dataset, in tables and run folders.
        root: folder of the dataset.
        annotations: the json of each split, below the root.
        images: folder of the images, below the root.
        grammar: writes the expressions.
        expressions_per_image: most sentences of an image, by split.
        category_share: most of a split's sentences that name a category alone.
        expression_seed: of the choice of sentences; another one is another dataset.
        options: of every dataset.

    Raises:
        ConfigError: a count or share out of its range.
    """

    def __init__(
        self,
        *,
        name: str,
        root: str | Path,
        annotations: Mapping[str, str],
        images: str,
        grammar: Grammar,
        expressions_per_image: Mapping[str, int],
        category_share: float,
        expression_seed: int,
        **options: Any,
    ) -> None:
        super().__init__(name=name, **options)
        require_whole(0, expression_seed=expression_seed)
        require_whole(1, **{f"expressions_per_image.{split}": count for split, count in expressions_per_image.items()})
        if not 0 <= category_share <= 1:
            raise ConfigError(f"data.category_share={category_share}: expected 0 to 1")
        self.root = Path(root)
        self.annotations = dict(annotations)
        self.images = images
        self.grammar = grammar
        self.expressions_per_image = dict(expressions_per_image)
        self.category_share = category_share
        self.expression_seed = expression_seed

    @property
    def splits(self) -> Sequence[str]:
        """The names of the splits there are."""
        return list(self.annotations)

    def dataset(self, split: str) -> Instances:
        """Read a split's annotations and write its sentences."""
        if split not in self.annotations or split not in self.expressions_per_image:
            raise DataError(f"split={split!r}: {self.name} has no such split; known: {', '.join(self.annotations)}")
        return Instances(
            self.root / self.annotations[split],
            self.root / self.images,
            split=split,
            grammar=self.grammar,
            expressions_per_image=self.expressions_per_image[split],
            category_share=self.category_share,
            seed=self.expression_seed,
        )
