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


def captioned(picture: np.ndarray, text: str, *, lines: int = 4) -> np.ndarray:
    """A picture (h, w, 3) uint8 RGB with a sentence below it; (h', w, 3)."""
    return np.concatenate([picture, caption(text, picture.shape[1], lines=lines)], axis=0)


def spotlight(image: np.ndarray, weights: np.ndarray, *, size: int = 288, darkest: float = 0.3) -> np.ndarray:
    """An image in the light of a coarse map: full where the map is among its largest, dark where it is 0.

    Args:
        image: (h, w, 3) uint8 RGB.
        weights: (H, W) of 0 or more, over the whole image.
        size: the longer side of the picture, in pixels.
        darkest: share of the light where the weight is 0.

    Returns:
        (h', w', 3) uint8 RGB with max(h', w') = size.
    """
    picture = overlay(image, size=size)
    # not the very largest: in a fine map one pixel alone would be lit
    full = max(float(np.quantile(weights, 0.98)), 1e-12)
    share = (weights / full).clip(0, 1).astype(np.float32)
    light = cv2.resize(share, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)[..., None]
    return (picture * (darkest + (1 - darkest) * light)).round().astype(np.uint8)


def heat_map(values: np.ndarray, rows: Sequence[str], columns: Sequence[str], *, font_size: int = 13) -> np.ndarray:
    """A table of numbers as colours, dark = 0, bright = 1; the names of the columns stand upright.

    Args:
        values: (R, C) in [0, 1].
        rows: R names.
        columns: C names.
        font_size: in pixels.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: not as many names as rows or columns.
    """
    if values.shape != (len(rows), len(columns)):
        raise ValueError(f"values: got {values.shape}, expected ({len(rows)} rows, {len(columns)} columns) as named")
    font = _font(font_size)
    cell_height, cell_width, margin = round(1.4 * font_size), 2 * font_size, font_size // 2
    left = round(max(map(font.getlength, rows))) + 2 * margin
    top = round(max(map(font.getlength, columns))) + 2 * margin
    shades = cv2.applyColorMap((255 * values.clip(0, 1)).round().astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    cells = np.kron(shades, np.ones((cell_height, cell_width, 1), np.uint8))
    picture = np.full((top + cells.shape[0], left + cells.shape[1], 3), PAPER, np.uint8)
    picture[top:, left:] = cells
    across = Image.fromarray(picture)
    pen = ImageDraw.Draw(across)
    for number, name in enumerate(rows):
        pen.text((left - margin, top + (number + 0.5) * cell_height), name, INK, font, anchor="rm")
    upright = across.transpose(Image.Transpose.ROTATE_270)  # clockwise: what was on top is on the right
    pen = ImageDraw.Draw(upright)
    for number, name in enumerate(columns):
        place = (upright.width - top + margin, left + (number + 0.5) * cell_width)
        pen.text(place, name, INK, font, anchor="lm")
    return np.array(upright.transpose(Image.Transpose.ROTATE_90))


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
