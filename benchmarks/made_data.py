"""Data in RRSIS-D's layout to measure with: photographs, or drawn scenes where there are none."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from sbanet.data.readers.plain_pickle import read_plain_pickle
from sbanet.data.scenes import SceneConfig, render_scene

SIDE = 800
"""Of RRSIS-D's images, pixels."""
SENTENCES = ("The vehicle on the left", "A large airplane at the top of the image", "The tennis court on the right")
REAL_COUNTS = {"train": 12181, "val": 1740, "test": 3481}
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
"""With these the files are as large as RRSIS-D's, about 200 kB, and their colours as fine."""


def real_data() -> Path | None:
    """The folder of real photographs and sentences, where the environment names one."""
    folder = os.environ.get("SBANET_DATA")
    return Path(folder) if folder else None


def pictures(count: int) -> tuple[str, Iterator[np.ndarray]]:
    """What they are, and (SIDE, SIDE, 3) uint8 BGR images."""
    real = real_data()
    photographs = sorted((real / "nwpu_vhr10" / "images").glob("*.jpg"))[:count] if real else []
    if len(photographs) < count:
        scenes = (render_scene(0, number, SceneConfig(size=SIDE)).image[..., ::-1] for number in range(count))
        return "AeroScenes", scenes
    enlarged = (cv2.resize(cv2.imread(str(path)), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for path in photographs)
    return "photographs of NWPU VHR-10", enlarged


def write_pictures(root: Path, count: int) -> str:
    """A training set of so many referents, each with an image of its own, and one for validation; says of what."""
    kind, images = pictures(count)
    rng = np.random.default_rng(0)
    for number, image in enumerate(images, start=1):
        _write_image(root, f"{number:05}.jpg", image)
    refs = [_ref(number, "train", SENTENCES[number % len(SENTENCES)]) for number in range(1, count + 1)]
    refs[-1]["split"] = "val"
    _write_annotations(root, refs, SIDE, (_mask(rng, SIDE) for _ in refs))
    return kind


def write_all_refs(root: Path, side: int) -> str:
    """As many referents as RRSIS-D has, its own where they are there, over one small image; says whose."""
    real = real_data()
    file = real / "rrsisd_refs" / "refs(unc).p" if real else None
    if file is not None and file.is_file():
        refs, kind = read_plain_pickle(file), "the real sentences of RRSIS-D"
    else:
        splits = [split for split, count in REAL_COUNTS.items() for _ in range(count)]
        refs = [_ref(k, split, SENTENCES[k % len(SENTENCES)]) for k, split in enumerate(splits, start=1)]
        kind = "made sentences"
    rng = np.random.default_rng(0)
    _write_image(root, "image.jpg", rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
    for ref in refs:
        ref["file_name"] = "image.jpg"
    _write_annotations(root, refs, side, (_mask(rng, side) for _ in refs))
    return kind


def _ref(number: int, split: str, sentence: str) -> dict[str, Any]:
    sentences = [{"sent_id": number, "raw": sentence, "sent": sentence.lower(), "tokens": sentence.split()}]
    return {
        "ref_id": number, "ann_id": number, "image_id": number, "file_name": f"{number:05}.jpg", "category_id": 1,
        "split": split, "sent_ids": [number], "sentences": sentences,
    }  # fmt: skip


def _mask(rng: np.random.Generator, side: int) -> np.ndarray:
    """An ellipse of 1/20 to 1/2 of the image's side, somewhere, turned somehow."""
    mask = np.zeros((side, side), np.uint8)
    centre, axes = rng.integers(0, side, 2).tolist(), rng.integers(side // 40, side // 4, 2).tolist()
    cv2.ellipse(mask, centre, axes, float(rng.integers(0, 180)), 0, 360, 1, -1)
    return mask


def _write_image(root: Path, name: str, image: np.ndarray) -> None:
    folder = root / "images" / "rrsisd" / "JPEGImages"
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / name), image, JPEG)


def _write_annotations(root: Path, refs: list[dict[str, Any]], side: int, masks: Iterable[np.ndarray]) -> None:
    annotations = []
    for ref, mask in zip(refs, masks, strict=True):
        rle = coco_mask.encode(np.asfortranarray(mask))
        rle["counts"] = rle["counts"].decode()
        annotations.append({"id": ref["ann_id"], "image_id": ref["image_id"], "segmentation": [rle]})
    categories = sorted({ref["category_id"] for ref in refs})
    content = {
        "categories": [{"id": number, "name": f"category {number}"} for number in categories],
        "images": [
            {"id": ref["image_id"], "file_name": ref["file_name"], "height": side, "width": side} for ref in refs
        ],
        "annotations": annotations,
    }
    (root / "rrsisd").mkdir(parents=True)
    (root / "rrsisd" / "refs(unc).p").write_bytes(pickle.dumps(refs, protocol=2))
    (root / "rrsisd" / "instances.json").write_text(json.dumps(content))
