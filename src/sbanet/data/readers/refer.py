"""The layout of the REFER toolbox, which RRSIS-D has: a pickle of referents, and COCO instances with their masks."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from sbanet.data.readers.coco import drawable, in_plain_words, read_annotations
from sbanet.data.readers.plain_pickle import read_plain_pickle
from sbanet.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Referent:
    """One annotated object, and what is said of it.

    Attributes:
        ref: its id.
        annotation: that of its mask.
        file: the image's name below the folder of images.
        height: of the image, pixels.
        width: of the image, pixels.
        split: `train`, `val`, `test` and the like.
        category: in plain words.
        sentences: as the annotators wrote them; none is a finding of the check.
        segmentation: as the annotations have it.
    """

    ref: int
    annotation: int
    file: str
    height: int
    width: int
    split: str
    category: str
    sentences: tuple[str, ...]
    segmentation: Any

    def mask(self) -> np.ndarray:
        """(H, W) bool: the pixels that exactly one segment covers, as in the official reader."""
        return segments(self.segmentation, self.height, self.width).sum(2) == 1


def segments(segmentation: Any, height: int, width: int) -> np.ndarray:
    """Polygons, or run lengths compressed or not, one or several -> (H, W, segments) uint8."""
    parts = segmentation if isinstance(segmentation, Sequence) else [segmentation]
    rles = []
    for part in parts:
        if isinstance(part, Mapping) and not isinstance(part["counts"], list):
            rles.append(part)
        else:
            rles += coco_mask.frPyObjects([part], height, width)
    return coco_mask.decode(rles)


def read_refer(refs: Path, instances: Path) -> list[Referent]:
    """Read the referents of all splits.

    Args:
        refs: the pickle, as `refs(unc).p`.
        instances: the COCO json.

    Raises:
        DataError: a file is missing, damaged, or not as the format says; or a referent has no annotation.
    """
    with _without_collection():
        return _read(refs, instances)


@contextmanager
def _without_collection() -> Iterator[None]:
    """No garbage collection: a million small objects come and none goes, and looking for some takes half the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _read(refs: Path, instances: Path) -> list[Referent]:
    entries = read_plain_pickle(refs)
    content = read_annotations(instances)
    try:
        annotations = {entry["id"]: entry for entry in content["annotations"]}
        images = {entry["id"]: entry for entry in content["images"]}
        categories = {entry["id"]: in_plain_words(entry["name"]) for entry in content["categories"]}
    except (KeyError, TypeError) as error:
        raise DataError(f"{instances}: is not as COCO instance annotations are ({error!r})") from error
    try:
        return [_referent(entry, annotations, images, categories) for entry in entries]
    except DataError as error:
        raise DataError(f"{instances}: {error}; mend it, or remove it here and in {refs.name}") from error
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(f"{refs}: does not fit {instances.name} ({type(error).__name__}: {error})") from error


def _referent(
    entry: Mapping[str, Any],
    annotations: Mapping[int, Mapping[str, Any]],
    images: Mapping[int, Mapping[str, Any]],
    categories: Mapping[int, str],
) -> Referent:
    annotation = annotations[entry["ann_id"]]
    image = images[entry["image_id"]]
    if annotation.get("image_id", entry["image_id"]) != entry["image_id"]:
        raise DataError(f"annotation {annotation['id']}: is of image {annotation['image_id']}, its referent of another")
    return Referent(
        ref=int(entry["ref_id"]),
        annotation=int(entry["ann_id"]),
        file=str(image["file_name"]),
        height=int(image["height"]),
        width=int(image["width"]),
        split=str(entry["split"]),
        category=categories[entry["category_id"]],
        sentences=tuple(str(sentence["raw"]) for sentence in entry["sentences"]),
        segmentation=drawable(annotation, int(image["height"]), int(image["width"])),
    )
