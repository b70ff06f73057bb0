"""How images and masks come to the size of the network: the same in training, evaluation and prediction.

Shape letters: H W the image's own size.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, get_args

import cv2
import numpy as np
from PIL import Image

from sbanet.errors import ConfigError

Resize = Literal["area", "pillow"]
"""`area` = averaged where the image shrinks, interpolated where it grows; the fastest. `pillow` = Pillow's bilinear
filter, as wide as the image shrinks: bit by bit what the official code of LAVT and RMSIN sees."""


def require_known(resize: str, *, key: str) -> None:
    """Refuse a way of resizing that there is not.

    Raises:
        ConfigError: it is unknown.
    """
    if resize not in get_args(Resize):
        raise ConfigError(f"{key}={resize}: expected {', '.join(get_args(Resize))}")


def resize_image(image: np.ndarray, side: int, resize: Resize) -> np.ndarray:
    """(H, W, 3) uint8 -> (side, side, 3) uint8; the aspect ratio is not kept."""
    height, width = image.shape[:2]
    if (height, width) == (side, side):
        return image
    if resize == "pillow":
        return np.array(Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR))
    interpolation = cv2.INTER_AREA if min(height, width) >= side else cv2.INTER_LINEAR
    return cv2.resize(image, (side, side), interpolation=interpolation)


def resize_mask(mask: np.ndarray, side: int) -> np.ndarray:
    """(H, W) bool -> (side, side) bool: the pixel that the middle of the new one falls into, as Pillow chooses it."""
    if mask.shape == (side, side):
        return mask
    return cv2.resize(mask.view(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST_EXACT).astype(bool)


@lru_cache(maxsize=256)
def sampled(length: int, side: int) -> np.ndarray:
    """The rows (or columns) of a mask that `resize_mask` takes, ascending, (side,); not to be written to."""
    pixels = np.arange(length, dtype=np.int32)[:, None]
    rows = pixels if length == side else cv2.resize(pixels, (1, side), interpolation=cv2.INTER_NEAREST_EXACT)
    return rows.ravel()
