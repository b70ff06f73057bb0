"""Polygons and directions, computed so that every machine gets the same bits.

A *heading* counts 1/256 turns, clockwise on the image (x right, y down); 0 points right. Cosines are rounded
to 2^-14, and only element-wise double arithmetic follows: no fused or reordered sums that could depend on the
processor.
Polygons are (N, 2) float64 arrays, all of them convex.
"""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np

TURN = 256
QUARTER = TURN // 4

_GRID = 1 << 14
COS = tuple(round(math.cos(2 * math.pi * i / TURN) * _GRID) / _GRID for i in range(TURN))
SIN = tuple(round(math.sin(2 * math.pi * i / TURN) * _GRID) / _GRID for i in range(TURN))


def direction(heading: int) -> tuple[float, float]:
    """The unit vector (x, y) of a heading."""
    return COS[heading % TURN], SIN[heading % TURN]


def heading_of(dx: float, dy: float) -> int:
    """The heading nearest to a vector."""
    return round(math.atan2(dy, dx) * TURN / (2 * math.pi)) % TURN


def points(*pairs: tuple[float, float]) -> np.ndarray:
    """Points given one by one."""
    return np.array(pairs, dtype=np.float64)


def box(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    """An axis-aligned rectangle."""
    return np.array(((x0, y0), (x1, y0), (x1, y1), (x0, y1)), dtype=np.float64)


@lru_cache(maxsize=64)
def _arc(start: int, stop: int, count: int) -> np.ndarray:
    steps = [start + (stop - start) * i // (count - 1) for i in range(count)]
    return np.array([direction(step) for step in steps], dtype=np.float64)


def arc(x: float, y: float, radius: float, start: int, stop: int, count: int = 12) -> np.ndarray:
    """`count` points on a circle from heading `start` to heading `stop`."""
    return _arc(start, stop, count) * radius + (x, y)


@lru_cache(maxsize=8)
def _circle(count: int) -> np.ndarray:
    return np.array([direction(TURN * i // count) for i in range(count)], dtype=np.float64)


def ellipse(x: float, y: float, rx: float, ry: float, count: int = 24) -> np.ndarray:
    """An ellipse whose axes lie along x and y."""
    return _circle(count) * (rx, ry) + (x, y)


def disc(x: float, y: float, radius: float, count: int = 20) -> np.ndarray:
    """A circle as a polygon."""
    return _circle(count) * radius + (x, y)


def rounded(x0: float, y0: float, x1: float, y1: float, radius: float) -> np.ndarray:
    """A rectangle with rounded corners; a capsule where the radius is half its height."""
    corners = ((x1, y1, 0), (x0, y1, 1), (x0, y0, 2), (x1, y0, 3))
    return np.concatenate(
        [
            _arc(QUARTER * k, QUARTER * (k + 1), 6) * radius
            + (x + (-radius if x == x1 else radius), y + (-radius if y == y1 else radius))
            for x, y, k in corners
        ]
    )


def stroke(x0: float, y0: float, x1: float, y1: float, width: float) -> np.ndarray:
    """A straight line of the given width."""
    dx, dy = x1 - x0, y1 - y0
    scale = width / 2 / max(math.sqrt(dx * dx + dy * dy), 1e-9)
    nx, ny = -dy * scale, dx * scale
    return np.array(((x0 + nx, y0 + ny), (x1 + nx, y1 + ny), (x1 - nx, y1 - ny), (x0 - nx, y0 - ny)), dtype=np.float64)


def band(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The ground between two lines (N, 2) that run the same way, as quadrilaterals (N - 1, 4, 2)."""
    return np.stack([left[:-1], left[1:], right[1:], right[:-1]], axis=1)


def convex_hull(*outlines: np.ndarray) -> np.ndarray:
    """The convex polygon around all points, to 2^-16."""
    grid = np.rint(np.concatenate(outlines) * (1 << 16)).astype(np.int32)
    return cv2.convexHull(grid)[:, 0].astype(np.float64) / (1 << 16)


def moved(polygon: np.ndarray, dx: float, dy: float) -> np.ndarray:
    """The same points elsewhere."""
    return polygon + np.array((dx, dy))


def place(local: np.ndarray, x: float, y: float, heading: int, length: float) -> np.ndarray:
    """Points of an object's own frame (unit: its length) -> pixels of the image."""
    c, s = COS[heading % TURN] * length, SIN[heading % TURN] * length
    placed = np.empty_like(local)
    placed[:, 0] = local[:, 0] * c - local[:, 1] * s + x
    placed[:, 1] = local[:, 0] * s + local[:, 1] * c + y
    return placed
