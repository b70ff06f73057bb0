"""A labelled dataset as a referring one: COCO instances, and sentences that the grammar writes about them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sbanet.data.datasets import RecordDataset, annotated_image
from sbanet.data.grammar import Grammar
from sbanet.data.packing import PackedByKey
from sbanet.data.readers.coco import CocoImage, read_coco
from sbanet.data.readers.segmentations import resized_mask
from sbanet.data.records import Record

CATEGORY_ALONE = ("category",)
"""The tags of a sentence that only names what there is one of."""


class Instances(RecordDataset):
    """A split of a COCO instance dataset, with sentences.

    The same annotations and settings give the same sentences on every machine.

    Args:
        annotations: the split's json.
        images: the folder of its images.
        split: its name.
        grammar: writes the sentences; what it asks of colours and shapes has no answer here.
        expressions_per_image: most sentences of an image.
        category_share: most of the split's sentences that name a category alone; those beyond are left out.
        seed: of the choice of sentences.

    Raises:
        DataError: the annotations cannot be read, or no sentence can be made.
    """

    def __init__(
        self,
        annotations: Path,
        images: Path,
        *,
        split: str,
        grammar: Grammar,
        expressions_per_image: int,
        category_share: float,
        seed: int,
    ) -> None:
        self._folder = images
        coco = read_coco(annotations)
        self._files = PackedByKey((str(image.number), replace(image, objects=[])) for image in coco)
        self._masks = PackedByKey((found.annotation, found) for image in coco for found in image.objects)
        records = [
            record for image in coco for record in sentences_about(image, split, grammar, expressions_per_image, seed)
        ]
        records = with_few_categories_alone(records, category_share, seed)
        spoken = "\n".join(f"{record.sample_id} {record.instance} {record.expression}" for record in records)
        digest = hashlib.sha256(annotations.read_bytes() + spoken.encode()).hexdigest()
        super().__init__(records, fingerprint=digest[:16])

    def image(self, record: Record) -> np.ndarray:
        """(H, W, 3) uint8, RGB.

        Raises:
            DataError: the file is missing, damaged, or of another size than its annotation says.
        """
        about = self._files[record.image]
        return annotated_image(self._folder / about.file, about.height, about.width)

    def files(self, record: Record) -> tuple[Path, ...]:
        """The image's file."""
        return (self._folder / self._files[record.image].file,)

    def mask(self, record: Record) -> np.ndarray:
        """(H, W) bool."""
        return self._masks[record.instance].mask()

    def resized_mask(self, record: Record, side: int) -> np.ndarray:
        """(side, side) bool, straight from the run lengths."""
        about = self._files[record.image]
        return resized_mask(self._masks[record.instance].rle, about.height, about.width, side)


def sentences_about(image: CocoImage, split: str, grammar: Grammar, count: int, seed: int) -> list[Record]:
    """At most `count` records of an image; a function of its annotation and the seed alone."""
    rng = np.random.Generator(np.random.PCG64([seed, image.number]))
    instances = [found.instance for found in image.objects]
    expressions = grammar.sample(instances, image.height, image.width, rng, count)
    return [
        Record(
            sample_id=f"{split}-{image.number}-{number}",
            image=str(image.number),
            instance=image.objects[expression.referent].annotation,
            expression=expression.text,
            split=split,
            category=instances[expression.referent].category,
            tags=expression.skills,
        )
        for number, expression in enumerate(expressions)
    ]


def with_few_categories_alone(records: Sequence[Record], share: float, seed: int) -> list[Record]:
    """Leave out sentences that name a category alone, until they are at most a share of all that stay."""
    alone = [position for position, record in enumerate(records) if record.tags == CATEGORY_ALONE]
    others = len(records) - len(alone)
    allowed = len(alone) if share >= 1 else int(share * others / (1 - share))
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(alone))
    dropped = {alone[position] for position in order[allowed:]}
    return [record for position, record in enumerate(records) if position not in dropped]
