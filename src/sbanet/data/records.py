"""The types that everything else speaks: `Record`, `Sample`, `Batch`.

Shape letters: B batch, H W image, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One (image, expression) pair of a dataset, without any pixels.

    Attributes:
        sample_id: unique within the dataset, stable across machines and versions of the cache.
        image: the key of the image; a path, or the scene number of a procedural dataset.
        instance: the object meant: an annotation id, or the object's number within its scene.
        expression: the sentence, as the annotator (or the grammar) wrote it.
        split: `train`, `val`, `test` or a split of the dataset's own.
        category: the referent's category in plain words ("ground track field").
        tags: the skills that the expression needs (see `sbanet.data.grammar.SKILLS`), or the
            dataset's own labels; results are broken down by them.
    """

    sample_id: str
    image: str
    instance: int
    expression: str
    split: str
    category: str
    tags: tuple[str, ...] = ()

    def with_expression(self, expression: str) -> Record:
        """The same referent with another sentence."""
        return replace(self, expression=expression)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One decoded (image, expression, mask).

    Attributes:
        image: (H, W, 3) uint8, RGB.
        mask: (H, W) bool, True = the referent.
        expression: the sentence; a transform may have rewritten it.
        record: where the sample came from.
        native_mask: (H0, W0) bool, the mask before any resizing; None where it equals `mask`.
    """

    image: np.ndarray
    mask: np.ndarray
    expression: str
    record: Record
    native_mask: np.ndarray | None = None


@dataclass(slots=True, kw_only=True)
class Batch:
    """What a model is fed and scored on.

    Attributes:
        image: (I, 3, H, W) float32, normalised; rows of one image, side by side, may share it.
        token_ids: (B, T) int64, padded to the longest sentence of the batch.
        token_mask: (B, T) bool, True = a real token; at least one a row.
        target: (B, H, W) bool at the network's size.
        records: one a row; the sentence of `token_ids` may be one that a transform made of the record's.
        native_targets: the masks at the images' own sizes, one (Hi, Wi) bool tensor a row;
            empty where they all have the network's size.
        sentences: the rows of each image in turn; None = each has B / I.
    """

    image: torch.Tensor
    token_ids: torch.Tensor
    token_mask: torch.Tensor
    target: torch.Tensor
    records: Sequence[Record]
    native_targets: list[torch.Tensor] = field(default_factory=list)
    sentences: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.records)

    def image_of_row(self) -> list[int]:
        """Which image each row's is."""
        images = len(self.image)
        counts = self.sentences or [len(self.token_ids) // images] * images
        return [image for image, count in enumerate(counts) for _ in range(count)]

    def to(self, *args: Any, **kwargs: Any) -> Batch:
        """The batch on another device; the signature of `torch.Tensor.to`."""
        return Batch(
            image=self.image.to(*args, **kwargs),
            token_ids=self.token_ids.to(*args, **kwargs),
            token_mask=self.token_mask.to(*args, **kwargs),
            target=self.target.to(*args, **kwargs),
            records=self.records,
            native_targets=[mask.to(*args, **kwargs) for mask in self.native_targets],
            sentences=self.sentences,
        )

    def pin_memory(self) -> Batch:
        """The batch in page-locked memory (called by the loader)."""
        self.image = self.image.pin_memory()
        self.token_ids = self.token_ids.pin_memory()
        self.token_mask = self.token_mask.pin_memory()
        self.target = self.target.pin_memory()
        return self
