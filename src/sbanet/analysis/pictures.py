"""Pictures of predictions: which samples to show, their masks and images, and how a page holds them."""

from __future__ import annotations

import base64
from collections.abc import Collection
from itertools import zip_longest
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from pycocotools import mask as coco

from sbanet.analysis.outcomes import OUTCOMES, outcomes
from sbanet.analysis.runs import RunFolderError


def decode(rle: str, height: int, width: int) -> np.ndarray:
    """A mask from its COCO compressed run lengths.

    Args:
        rle: the counts as text.
        height: of the mask, in pixels.
        width: of the mask, in pixels.

    Returns:
        (H, W) bool.
    """
    return coco.decode({"size": [int(height), int(width)], "counts": rle.encode("ascii")}).astype(bool)


def read_image(path: Path) -> np.ndarray:
    """A thumbnail as (H, W, 3) uint8 RGB.

    Raises:
        RunFolderError: the file is not a picture.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise RunFolderError(f"{path}: not a picture; delete it, or write it again with sbanet-evaluate")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def data_uri(picture: np.ndarray, quality: int = 82) -> str:
    """A picture as a `data:` address that a page holds in itself.

    Args:
        picture: (H, W, 3) uint8 RGB.
        quality: of the JPEG, 1 to 100.
    """
    done, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"picture: got {picture.shape} {picture.dtype}, expected (H, W, 3) uint8")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")


def choose(
    predictions: pd.DataFrame, images: Collection[str], count: int = 6, protocol: str = "network"
) -> dict[str, list[str]]:
    """The samples worth showing of each outcome; the same predictions give the same choice.

    Hits are the best ones, loose masks the best misses, and of the other two the largest objects (missing a
    ship of nine pixels teaches little). Categories take turns, so that no easy one fills the page.

    Args:
        predictions: the rows of a predictions file.
        images: keys of the images that can be shown.
        count: samples an outcome, at most.
        protocol: whose IoU decides.

    Returns:
        outcome -> sample ids; every outcome is a key.
    """
    frame = predictions[["sample_id", "image", "category", "target_pixels"]].join(outcomes(predictions, protocol))
    frame = frame[frame["image"].isin(set(images))]
    chosen = {}
    for outcome in OUTCOMES:
        key = "iou" if outcome in ("hit", "loose mask") else "target_pixels"
        those = frame[frame["outcome"] == outcome].sort_values([key, "sample_id"], ascending=[False, True])
        chosen[outcome] = _in_turn(those)[:count]
    return chosen


def _in_turn(frame: pd.DataFrame) -> list[str]:
    """Sample ids: the first of every category, then the second of every category, ...

    Within a turn and within a category the frame's order holds.
    """
    queues = [group["sample_id"].tolist() for _, group in frame.groupby("category", sort=False)]
    return [sample for turn in zip_longest(*queues) for sample in turn if sample is not None]
