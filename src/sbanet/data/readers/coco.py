"""COCO instance annotations: one json with images, categories and masks (polygons or run lengths)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from sbanet.data.grammar import Instance
from sbanet.data.readers.segmentations import require_covering, require_drawable
from sbanet.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoObject:
    """One annotated object.

    Attributes:
        annotation: its id.
        instance: what language can say of it.
        rle: its mask as COCO's compressed run lengths.
    """

    annotation: int
    instance: Instance
    rle: Mapping[str, Any]

    def mask(self) -> np.ndarray:
        """(H, W) bool."""
        return coco_mask.decode(self.rle).astype(bool)


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoImage:
    """One annotated image; objects that are annotated as a crowd, and all others of their category, are left out.

    Attributes:
        number: its id.
        file: its name below the folder of images.
        height: pixels.
        width: pixels.
        objects: in the order of the file.
    """

    number: int
    file: str
    height: int
    width: int
    objects: list[CocoObject] = field(default_factory=list)


def read_coco(path: Path) -> list[CocoImage]:
    """Read an annotation file.

    Raises:
        DataError: no such file, or one that is not as the format says.
    """
    content = read_annotations(path)
    try:
        return _images(content)
    except DataError as error:
        raise DataError(f"{path}: {error}; mend or remove it") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: is not as COCO instance annotations are ({type(error).__name__}: {error})") from error


def read_annotations(path: Path) -> Any:
    """The content of an annotation file.

    Raises:
        DataError: no such file, or one that is no json.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; expected COCO instance annotations (json)") from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as json ({error}); download it anew") from error


def _images(content: Mapping[str, Any]) -> list[CocoImage]:
    names = {category["id"]: in_plain_words(category["name"]) for category in content["categories"]}
    images = {
        entry["id"]: CocoImage(
            number=int(entry["id"]), file=entry["file_name"], height=int(entry["height"]), width=int(entry["width"])
        )
        for entry in content["images"]
    }
    annotations = content["annotations"]
    # of a crowd nobody knows how many there are, so no sentence about its category is sure to mean one
    crowds = {(entry["image_id"], entry["category_id"]) for entry in annotations if entry.get("iscrowd")}
    for entry in annotations:
        if (entry["image_id"], entry["category_id"]) in crowds:
            continue
        image = images[entry["image_id"]]
        segmentation = drawable(entry, image.height, image.width)
        require_covering(segmentation, image.height, image.width)
        rle = run_lengths(segmentation, image.height, image.width)
        area = float(coco_mask.area(rle))
        if area:
            x, y, width, height = (float(side) for side in coco_mask.toBbox(rle))
            box = (x, y, x + width, y + height)
            instance = Instance(category=names[entry["category_id"]], box=box, area=area)
            image.objects.append(CocoObject(annotation=int(entry["id"]), instance=instance, rle=rle))
    return list(images.values())


def run_lengths(segmentation: Any, height: int, width: int) -> Mapping[str, Any]:
    """Polygons, or run lengths compressed or not -> COCO's compressed run lengths."""
    if isinstance(segmentation, list):
        return coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
    if isinstance(segmentation["counts"], list):
        return coco_mask.frPyObjects(segmentation, height, width)
    return segmentation


def drawable(annotation: Mapping[str, Any], height: int, width: int) -> Any:
    """The segmentation of an annotation.

    Raises:
        DataError: it cannot be drawn.
    """
    try:
        require_drawable(annotation["segmentation"], height, width)
    except DataError as error:
        raise DataError(f"annotation {annotation['id']}: {error}") from error
    return annotation["segmentation"]


def in_plain_words(category: str) -> str:
    """`Ground_Track-Field` -> `ground track field`."""
    return " ".join(category.replace("_", " ").replace("-", " ").lower().split())
