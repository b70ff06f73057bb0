"""Pictures of predictions: masks on images, sentences under them.

The prediction is a filled colour, the target a white contour: where both agree, the contour is full.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

FILL = (255, 64, 160)
"""RGB of the prediction: a pink that neither land nor water has."""

GAP = 6
"""Space between the pictures of a grid, in pixels."""

PIXELS_A_LINE = 400
"""A contour is one pixel wide for so many pixels of the image's shorter side."""

INK = (230, 230, 230)
PAPER = (24, 24, 24)
"""RGB of a caption and of the ground it stands on."""


def overlay(
    image: np.ndarray,
    target: np.ndarray | None = None,
    prediction: np.ndarray | None = None,
    *,
    size: int = 288,
    colour: tuple[int, int, int] = FILL,
    opacity: float = 0.5,
) -> np.ndarray:
    """An image with the prediction filled and the target outlined.

    Args:
        image: (h, w, 3) uint8 RGB, a thumbnail of any size.
        target: (H, W) bool at the image's own size, None where it is not known.
        prediction: (H, W) bool, None for the target alone.
        size: the longer side of the picture, in pixels.
        colour: RGB of the fill.
        opacity: of the fill, in [0, 1].

    Returns:
        (h', w', 3) uint8 RGB with max(h', w') = size.
    """
    scale = size / max(image.shape[:2])
    shape = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    picture = cv2.resize(image, shape, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    if prediction is not None:
        inside = _fit(prediction, shape)
        tinted = (1 - opacity) * picture[inside > 0] + opacity * np.array(colour)
        picture[inside > 0] = tinted.round().astype(np.uint8)
        _outline(picture, inside, colour, 1)
    if target is not None:
        # Around the object, not on it: a contour would cover a vehicle of ten pixels.
        outline = cv2.dilate(_fit(target, shape), np.ones((9, 9), np.uint8))
        _outline(picture, outline, (0, 0, 0), 4)
        _outline(picture, outline, (255, 255, 255), 2)
    return picture


def contour(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """An image with a mask's outline, on a dark rim so that it stands out from bright ground too.

    Args:
        image: (H, W, 3) uint8 RGB.
        mask: (H, W) bool.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    picture, inside = image.copy(), mask.astype(np.uint8)
    width = max(1, round(min(image.shape[:2]) / PIXELS_A_LINE))
    _outline(picture, inside, PAPER, width + 2)
    _outline(picture, inside, FILL, width)
    return picture


def caption(text: str, width: int, *, lines: int = 4, font_size: int = 14) -> np.ndarray:
    """A sentence in small print, wrapped.

    Args:
        text: in any script; a letter that the built-in font lacks becomes a box.
        width: of the picture, in pixels.
        lines: what does not fit into so many ends in an ellipsis.
        font_size: in pixels.

    Returns:
        (h, width, 3) uint8 RGB, as high as its lines.
    """
    font = _font(font_size)
    margin, pitch = font_size // 2, round(1.35 * font_size)
    wrapped = _wrap(text, font, width - 2 * margin, lines)
    picture = Image.new("RGB", (width, margin + pitch * len(wrapped)), PAPER)
    pen = ImageDraw.Draw(picture)
    for number, line in enumerate(wrapped):
        pen.text((margin, margin // 2 + pitch * number), line, INK, font)
    return np.array(picture)


def grid(tiles: Sequence[np.ndarray], columns: int, *, gap: int = GAP) -> np.ndarray:
    """Pictures in rows, top left first.

    Args:
        tiles: (h, w, 3) uint8 RGB of any sizes, at least one.
        columns: pictures side by side.
        gap: space between them, in pixels.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    width = max(tile.shape[1] for tile in tiles)
    rows = [tiles[first : first + columns] for first in range(0, len(tiles), columns)]
    heights = [max(tile.shape[0] for tile in row) for row in rows]
    across = min(columns, len(tiles))
    picture = np.full((sum(heights) + gap * (len(rows) - 1), width * across + gap * (across - 1), 3), PAPER, np.uint8)
    top = 0
    for row, height in zip(rows, heights, strict=True):
        for column, tile in enumerate(row):
            left = column * (width + gap)
            picture[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
        top += height + gap
    return picture


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise OSError("this build of Pillow lacks FreeType; install Pillow from its wheel to get captions")
    return font


def _wrap(text: str, font: ImageFont.FreeTypeFont, width: float, lines: int) -> list[str]:
    """The text in at most `lines` lines, none wider than `width`; broken at spaces, else anywhere."""
    rest = " ".join(text.split())
    wrapped: list[str] = []
    while rest and len(wrapped) < lines - 1:
        end = _fitting(rest, font, width)
        space = rest.rfind(" ", 0, end + 1)
        end = space if end < len(rest) and space > 0 else end
        wrapped.append(rest[:end])
        rest = rest[end:].lstrip()
    if rest and _fitting(rest, font, width) < len(rest):
        rest = rest[: _fitting(rest, font, width - font.getlength("..."))].rstrip() + "..."
    return [*wrapped, rest] if rest or not wrapped else wrapped


def _fitting(text: str, font: ImageFont.FreeTypeFont, width: float) -> int:
    """How many letters of a text fit into a width; at least one, so that every line makes progress."""
    low, high = 1, max(1, min(len(text), 400))
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(text[:middle]) <= width:
            low = middle
        else:
            high = middle - 1
    return low


def _fit(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A mask as uint8 at a picture's (width, height)."""
    return cv2.resize(mask.astype(np.uint8), shape, interpolation=cv2.INTER_NEAREST)


def _outline(picture: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int], width: int) -> None:
    contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, contours, -1, colour, width, cv2.LINE_AA)
