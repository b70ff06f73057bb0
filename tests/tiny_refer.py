"""A dataset in RRSIS-D's layout small enough for a test: a bright box on dark ground, and what is said of it."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

CATEGORIES = ("airplane", "Expressway-Service-area")
SIZE = (40, 56)
"""Height and width of the images."""
SENTENCES = ("The airplane on the left", "A large airplane", "The expressway service area at the bottom")


def write_refer(root: Path, referents: dict[str, int], sentences: int = 1, size: tuple[int, int] = SIZE) -> Path:
    """Write so many referents a split, each with an image of its own and so many sentences.

    Returns:
        The root.
    """
    (root / "rrsisd").mkdir(parents=True)
    (root / "images" / "rrsisd" / "JPEGImages").mkdir(parents=True)
    rng = np.random.default_rng(4)
    refs: list[dict[str, Any]] = []
    content: dict[str, Any] = {
        "categories": [{"id": number, "name": name} for number, name in enumerate(CATEGORIES)],
        "images": [],
        "annotations": [],
    }
    for split, count in referents.items():
        for _ in range(count):
            number = len(refs) + 1
            mask = np.zeros(size, np.uint8)
            top, left = (int(start) for start in rng.integers(2, 20, 2))
            mask[top : top + 12, left : left + 15] = 1
            image = np.where(mask[..., None], 200, 30).astype(np.uint8).repeat(3, 2)
            image[-8:] = rng.integers(0, 256, 3)  # no two images are equal
            image[-8:, :8] = rng.integers(0, 256, 3)
            name = f"{number:05}.jpg"
            cv2.imwrite(str(root / "images" / "rrsisd" / "JPEGImages" / name), image)
            rle = coco_mask.encode(np.asfortranarray(mask))
            rle["counts"] = rle["counts"].decode()
            category = number % 2
            content["images"].append({"id": number, "file_name": name, "height": size[0], "width": size[1]})
            content["annotations"].append(
                {"id": number, "image_id": number, "category_id": category, "segmentation": [rle]}
            )
            spoken = [SENTENCES[(number + k) % len(SENTENCES)] for k in range(sentences)]
            refs.append(
                {
                    "ref_id": number,
                    "ann_id": number,
                    "image_id": number,
                    "file_name": name,
                    "category_id": category,
                    "split": split,
                    "sent_ids": list(range(sentences)),
                    "sentences": [
                        {"sent_id": k, "raw": text, "sent": text.lower(), "tokens": text.split()}
                        for k, text in enumerate(spoken)
                    ],
                }
            )
    (root / "rrsisd" / "refs(unc).p").write_bytes(pickle.dumps(refs, protocol=2))
    (root / "rrsisd" / "instances.json").write_text(json.dumps(content))
    return root
