"""A dataset of COCO instances small enough for a test: bright boxes on dark ground."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

CATEGORIES = ("Ship", "storage_tank")
SIZE = (48, 64)
"""Height and width of the images."""


def write_coco(root: Path, images: dict[str, int], boxes: int = 4) -> Path:
    """Write so many images a split, each with so many boxes: `root/annotations/<split>.json`, `root/images/*.png`.

    Returns:
        The root.
    """
    (root / "annotations").mkdir(parents=True)
    (root / "images").mkdir()
    rng = np.random.default_rng(3)
    number = 0
    for split, count in images.items():
        content: dict[str, Any] = {
            "categories": [{"id": 7 + k, "name": name} for k, name in enumerate(CATEGORIES)],
            "images": [],
            "annotations": [],
        }
        for _ in range(count):
            number += 1
            pixels = np.full((*SIZE, 3), 30, np.uint8)
            about = {"id": number, "file_name": f"{number}.png", "height": SIZE[0], "width": SIZE[1]}
            content["images"].append(about)
            for column, row in [(4, 4), (40, 6), (6, 30), (42, 32)][:boxes]:
                width, height = (int(side) for side in rng.integers(6, 14, 2))
                pixels[row : row + height, column : column + width] = rng.integers(90, 255, 3)
                right, bottom = column + width, row + height
                content["annotations"].append(
                    {
                        "id": 100 * number + len(content["annotations"]),
                        "image_id": number,
                        "category_id": 7 + int(rng.random() < 0.3),
                        "segmentation": [[column, row, right, row, right, bottom, column, bottom]],
                        "iscrowd": 0,
                    }
                )
            cv2.imwrite(str(root / "images" / about["file_name"]), pixels)
        (root / "annotations" / f"{split}.json").write_text(json.dumps(content))
    return root
