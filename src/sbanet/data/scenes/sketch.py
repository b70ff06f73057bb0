"""What one object looks like, recorded in its own frame and painted later."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from sbanet.data.scenes.geometry import direction, moved, place
from sbanet.data.scenes.palette import RGB, WORDS, Paint

SUPERSAMPLING = 2
"""Canvas pixels an image pixel, each way: polygons are anti-aliased by averaging them at the end."""

_WORD_BITS = 4
_WORD_CODE: dict[str | None, int] = {None: 0} | {word: code for code, word in enumerate(WORDS, start=1)}
_SHIFT = 4
_FIXED = 1 << _SHIFT


def fixed_point(pixels: np.ndarray) -> np.ndarray:
    """Image coordinates (pixel edges are whole) -> cv2's fixed-point canvas coordinates (centres are)."""
    return np.rint((pixels * SUPERSAMPLING - 0.5) * _FIXED).astype(np.int32)


def fill_convex(target: np.ndarray, corners: np.ndarray, value: RGB | int) -> None:
    """Fill one convex polygon (N, 2), or several (P, N, 2), in fixed-point coordinates of the target.

    Everything is drawn from convex polygons: how OpenCV fills others changed between its versions.
    """
    if corners.ndim == 2:
        cv2.fillConvexPoly(target, corners, value, shift=_SHIFT)
        return
    limit = max(target.shape[:2]) * _FIXED
    seen = (corners.max(axis=1) >= 0).all(axis=1) & (corners.min(axis=1) <= limit).all(axis=1)
    for polygon in corners[seen]:
        cv2.fillConvexPoly(target, polygon, value, shift=_SHIFT)


class _Part(NamedTuple):
    local: np.ndarray
    rgb: RGB
    word: int


class _Shadow(NamedTuple):
    local: np.ndarray
    height: float
    swept: bool


class Canvas:
    """The picture under construction, at `SUPERSAMPLING` times the image's size.

    Attributes:
        image: (SH, SW, 3) uint8 RGB.
        labels: (SH, SW) uint16, `instance number << 4 | colour word code`, 0 = background.
        shade: (SH, SW) uint8, 255 = in the shadow of an object.
    """

    def __init__(self, size: int) -> None:
        side = size * SUPERSAMPLING
        self.size = size
        self.image = np.empty((side, side, 3), np.uint8)
        self.labels = np.zeros((side, side), np.uint16)
        self.shade = np.zeros((side, side), np.uint8)

    def clear(self, rgb: RGB) -> None:
        """Paint everything in one colour."""
        cv2.rectangle(self.image, (0, 0), self.image.shape[:2], rgb, -1)

    def fill(self, pixels: np.ndarray, rgb: RGB) -> None:
        """Fill a convex polygon (N, 2), or several (P, N, 2), in pixels of the image."""
        fill_convex(self.image, fixed_point(pixels), rgb)

    def stencil(self, mask: np.ndarray, pixels: np.ndarray) -> None:
        """As `fill`, with 255 on a mask of the canvas's size."""
        fill_convex(mask, fixed_point(pixels), 255)

    def blob(self, x: float, y: float, radius: float, rgb: RGB) -> None:
        """Fill a circle, in pixels of the image."""
        scale = SUPERSAMPLING * _FIXED
        centre = (round(x * scale - _FIXED / 2), round(y * scale - _FIXED / 2))
        cv2.circle(self.image, centre, round(radius * scale), rgb, -1, shift=_SHIFT)


class Sketch:
    """An object in its own frame: x along its heading, the unit its length, the origin its middle.

    Args:
        heading: where its x axis points.
        length: of one unit, in pixels.
        sun: the heading in which shadows fall.

    Attributes:
        shape: the word for its shape; "" where clearly none fits, None where that is a matter of taste.
        position: (x, y) of its middle in pixels, set when it is placed.
        road_half: half the width of the road that it carries on at both ends; 0 = none.
    """

    def __init__(self, *, heading: int, length: float, sun: int) -> None:
        self.heading = heading
        self.length = length
        self.sun = sun
        self.shape: str | None = None
        self.road_half = 0.0
        self.position = (0.0, 0.0)
        self._grounds: list[_Part] = []
        self._parts: list[_Part] = []
        self._shadows: list[_Shadow] = []
        self._extent: tuple[int, tuple[float, float, float, float]] | None = None

    @property
    def pixel(self) -> float:
        """One pixel of the image in units of this frame."""
        return 1 / self.length

    @property
    def away(self) -> tuple[float, float]:
        """The direction of the shadows, in this frame."""
        return direction(self.sun - self.heading)

    def ground(self, local: np.ndarray, surface: Paint) -> None:
        """Add what lies around the object but is not part of it: an apron, a pad, foam; convex."""
        self._grounds.append(_Part(local, surface.rgb, 0))

    def part(self, local: np.ndarray, colour: Paint) -> None:
        """Add a part of the object, a convex polygon; later parts hide earlier ones."""
        self._parts.append(_Part(local, colour.rgb, _WORD_CODE[colour.word]))

    def shadow(self, local: np.ndarray, height: float, *, swept: bool = True) -> None:
        """Let an outline cast a shadow of length `height`; swept: it is convex and stands on the ground."""
        self._shadows.append(_Shadow(local, height, swept))

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """(x0, y0, x1, y1) of everything drawn, in this frame."""
        parts = self._grounds + self._parts
        if self._extent is None or self._extent[0] != len(parts):
            local = np.concatenate([part.local for part in parts])
            self._extent = (len(parts), (*local.min(axis=0).tolist(), *local.max(axis=0).tolist()))
        return self._extent[1]

    def cast(self, canvas: Canvas, reach: float) -> None:
        """Paint the shadows, `reach` times as long as the objects are high."""
        dx, dy = direction(self.sun)
        for shadow in self._shadows:
            step = shadow.height * self.length * reach
            outline = place(shadow.local, *self.position, self.heading, self.length)
            tip = moved(outline, dx * step, dy * step)
            corners = fixed_point(np.concatenate([outline, tip]) if shadow.swept else tip)
            fill_convex(canvas.shade, cv2.convexHull(corners)[:, 0], 255)

    def lay_ground(self, canvas: Canvas) -> None:
        """Paint what lies around the object, ready to be shaded."""
        self._paint(canvas, self._grounds, 0)

    def render(self, canvas: Canvas, label: int) -> None:
        """Paint the object; `label` is the instance's number from 1, or 0 for scenery."""
        self._paint(canvas, self._parts, label)

    def _paint(self, canvas: Canvas, parts: list[_Part], label: int) -> None:
        if not parts:
            return
        local = np.concatenate([part.local for part in parts])
        corners = fixed_point(place(local, *self.position, self.heading, self.length))
        start = 0
        for part in parts:
            stop = start + len(part.local)
            polygon = corners[start:stop]
            cv2.fillConvexPoly(canvas.image, polygon, part.rgb, shift=_SHIFT)
            if label:
                cv2.fillConvexPoly(canvas.labels, polygon, label << _WORD_BITS | part.word, shift=_SHIFT)
            start = stop


def downsample_labels(labels: np.ndarray) -> np.ndarray:
    """(SH, SW) labels of a canvas -> (H, W): a pixel is an object's where half of it or more is."""
    upper, lower = labels[::SUPERSAMPLING], labels[1::SUPERSAMPLING]
    rows = np.maximum(upper, lower)
    covered = (upper > 0).view(np.uint8) + (lower > 0).view(np.uint8)
    label = np.maximum(rows[:, ::SUPERSAMPLING], rows[:, 1::SUPERSAMPLING])
    label[covered[:, ::SUPERSAMPLING] + covered[:, 1::SUPERSAMPLING] < 2] = 0
    return label


def instance_numbers(labels: np.ndarray) -> np.ndarray:
    """Labels -> instance numbers from 1, 0 = background; uint8."""
    return (labels >> _WORD_BITS).astype(np.uint8)


def count_words(labels: np.ndarray, num_instances: int) -> list[dict[str, int]]:
    """How many visible pixels of each instance have each colour word."""
    counts = np.bincount(labels[labels > 0], minlength=(num_instances + 1) << _WORD_BITS)
    table = counts.reshape(-1, 1 << _WORD_BITS).tolist()
    return [
        {word: row[code] for word, code in _WORD_CODE.items() if word is not None and row[code]}
        for row in table[1 : num_instances + 1]
    ]
