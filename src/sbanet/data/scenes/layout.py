"""Where objects go: apart from each other, each on its own kind of ground."""

from __future__ import annotations

import cv2
import numpy as np

from sbanet.data.scenes.dice import Dice
from sbanet.data.scenes.geometry import QUARTER, TURN, direction, stroke
from sbanet.data.scenes.sketch import Canvas, Sketch
from sbanet.data.scenes.terrain import LAND, ROAD, TAKEN, Corridor, Terrain, fill_surface

_SHIFT = 4
_FIXED = 1 << _SHIFT

_COARSE = 52
"""Cells across the coarse map that proposes places."""


class _Footprint:
    """The ground that a sketch needs, as a mask that can slide over the surface map."""

    def __init__(self, sketch: Sketch, gap: float) -> None:
        x0, y0, x1, y1 = (edge * sketch.length for edge in sketch.extent)
        c, s = direction(sketch.heading)
        corners = ((x0 - gap, y0 - gap), (x1 + gap, y0 - gap), (x1 + gap, y1 + gap), (x0 - gap, y1 + gap))
        # four corners: plain floats are several times faster than arrays
        self._sketch = sketch
        self._outline = [(x * c - y * s, x * s + y * c) for x, y in corners]
        xs, ys = [x for x, _ in self._outline], [y for _, y in self._outline]
        self.left, self.top = int(-min(xs)) + 1, int(-min(ys)) + 1
        self.width, self.height = self.left + int(max(xs)) + 2, self.top + int(max(ys)) + 2
        self._mask = np.zeros((self.height, self.width), np.uint8)
        self._fill(self._mask, self.left, self.top, 255)

    def _fill(self, surface: np.ndarray, x: float, y: float, code: int, scale: float = 1.0) -> None:
        """Fill the outline around (x, y) of a map that has `scale` cells a pixel."""
        corners = [
            (round((u * scale + x - 0.5) * _FIXED), round((v * scale + y - 0.5) * _FIXED)) for u, v in self._outline
        ]
        cv2.fillConvexPoly(surface, np.array(corners, np.int32), code, shift=_SHIFT)

    def is_clear(self, surface: np.ndarray, x: int, y: int, *, code: int | None) -> bool:
        """Whether the sketch may have its middle at (x, y).

        Args:
            surface: (H, W) codes.
            x: column of the middle.
            y: row of the middle.
            code: what all of the ground must be; None = anything that is not taken.
        """
        left, top = x - self.left, y - self.top
        if left < 0 or top < 0 or left + self.width > surface.shape[1] or top + self.height > surface.shape[0]:
            return False
        window = surface[top : top + self.height, left : left + self.width]
        wrong = window == TAKEN if code is None else window != code
        return cv2.countNonZero(cv2.bitwise_and(wrong.view(np.uint8), self._mask)) == 0

    def candidates(self, surface: np.ndarray, cell: int, *, code: int) -> np.ndarray:
        """Where the middle may be: a map of cells of `cell` pixels, True = about free; the border is not."""
        height, width = surface.shape[0] // cell, surface.shape[1] // cell
        wrong = (surface[: height * cell, : width * cell] != code).view(np.uint8) * np.uint8(255)
        coarse = cv2.resize(wrong, (width, height), interpolation=cv2.INTER_AREA)
        left, top = self.left // cell + 1, self.top // cell + 1
        reach = (left + (self.width - self.left) // cell + 2, top + (self.height - self.top) // cell + 2)
        element = np.zeros(reach[::-1], np.uint8)
        self._fill(element, left + 0.5, top + 0.5, 1, 1 / cell)
        blocked = cv2.dilate(
            coarse,
            element,
            anchor=(left, top),
            borderType=cv2.BORDER_CONSTANT,
            borderValue=(255, 255, 255, 255),
        )
        return blocked <= 255 // (2 * cell * cell)

    def settle(self, terrain: Terrain, x: float, y: float) -> None:
        """Put the sketch there and take the ground."""
        self._sketch.position = (x, y)
        self._fill(terrain.surface, x, y, TAKEN)


def place_on(sketch: Sketch, terrain: Terrain, dice: Dice, *, code: int, gap: float, attempts: int) -> bool:
    """Place a sketch anywhere on one kind of ground, all free places equally likely.

    Args:
        sketch: its position is set.
        terrain: the ground under it is taken.
        dice: the scene's draws.
        code: LAND or WATER.
        gap: least distance from the next object, in pixels.
        attempts: how many of the places that look free on a coarse map are tried.

    Returns:
        False where no free place was found.
    """
    footprint = _Footprint(sketch, gap)
    cell = max(min(terrain.surface.shape) // _COARSE, 1)
    rows, columns = np.nonzero(footprint.candidates(terrain.surface, cell, code=code))
    if not len(rows):
        return False
    for _ in range(attempts):
        k = dice.integer(0, len(rows) - 1)
        x = int(columns[k]) * cell + dice.integer(0, cell - 1)
        y = int(rows[k]) * cell + dice.integer(0, cell - 1)
        if footprint.is_clear(terrain.surface, x, y, code=code):
            footprint.settle(terrain, x + dice.uniform(-0.5, 0.5), y + dice.uniform(-0.5, 0.5))
            return True
    return False


def place_at(sketch: Sketch, terrain: Terrain, slot: tuple[float, float, int], *, gap: float) -> bool:
    """Turn and place a sketch at a slot (x, y, heading), whatever the ground.

    Returns:
        False where it is taken, or where the sketch would leave the image.
    """
    x, y, sketch.heading = slot
    height, width = terrain.surface.shape
    column, row = round(x), round(y)
    if not (0 <= column < width and 0 <= row < height) or terrain.surface[row, column] == TAKEN:
        return False
    footprint = _Footprint(sketch, gap)
    if not footprint.is_clear(terrain.surface, column, row, code=None):
        return False
    footprint.settle(terrain, x, y)
    return True


def lane_slot(sketch: Sketch, road: Corridor, dice: Dice) -> tuple[float, float, int]:
    """A place in one of the two lanes of a road, headed as the traffic there (it keeps right)."""
    k = dice.integer(0, len(road.headings) - 1)
    lane = dice.choice((-1, 1))
    _, y0, _, y1 = sketch.extent
    aside = lane * max(0.8 * road.half - (y1 - y0) / 2 * sketch.length, 0.0)
    nx, ny = direction(road.headings[k] + QUARTER)
    heading = road.headings[k] if lane > 0 else road.headings[k] + TURN // 2
    return float(road.centre[k, 0]) + nx * aside, float(road.centre[k, 1]) + ny * aside, heading % TURN


def crossing_slot(corridor: Corridor, dice: Dice) -> tuple[float, float, int]:
    """A place across a river or a road, about at right angles."""
    k = dice.integer(0, len(corridor.headings) - 1)
    side = QUARTER if dice.chance(0.5) else -QUARTER
    heading = (corridor.headings[k] + side + dice.integer(-5, 5)) % TURN
    return float(corridor.centre[k, 0]), float(corridor.centre[k, 1]), heading


def shore_slot(sketch: Sketch, shore: list[tuple[float, float, int]], dice: Dice) -> tuple[float, float, int]:
    """A place on the shore, most of it over the water."""
    x, y, seaward = dice.choice(shore)
    heading = (seaward + dice.integer(-6, 6)) % TURN
    dx, dy = direction(heading)
    return x + 0.36 * sketch.length * dx, y + 0.36 * sketch.length * dy, heading


def lead_roads(canvas: Canvas, terrain: Terrain, sketch: Sketch) -> None:
    """Continue the road that a placed sketch carries, from both its ends over land."""
    half = sketch.road_half * sketch.length
    if not half:
        return
    r, g, b = terrain.asphalt
    verge = (min(r + 50, 255), min(g + 46, 255), min(b + 34, 255))
    for side in (0, TURN // 2):
        heading = (sketch.heading + side) % TURN
        dx, dy = direction(heading)
        x, y = sketch.position[0] + dx * 0.49 * sketch.length, sketch.position[1] + dy * 0.49 * sketch.length
        reach = _free_run(terrain.surface, x, y, dx, dy, skip=0.06 * sketch.length + 4 + half)
        line = (x, y, x + dx * reach, y + dy * reach)
        canvas.fill(stroke(*line, 2.3 * half), verge)
        canvas.fill(stroke(*line, 2 * half), terrain.asphalt)
        canvas.fill(stroke(*line, 0.12 * half), verge)
        marked = terrain.surface.copy()
        fill_surface(marked, stroke(*line, 2.2 * half), ROAD)
        np.copyto(terrain.surface, marked, where=terrain.surface == LAND)
        centre = np.array([(x + dx * reach * k / 16, y + dy * reach * k / 16) for k in range(17)])
        terrain.roads.append(Corridor(centre, [heading] * 17, half))


def _free_run(surface: np.ndarray, x: float, y: float, dx: float, dy: float, *, skip: float) -> float:
    """How far a road runs from (x, y) to water, another road or an object; past the border if none."""
    height, width = surface.shape
    distance = skip
    while True:
        column, row = int(x + dx * distance), int(y + dy * distance)
        if not (0 <= column < width and 0 <= row < height):
            return distance + width * 0.1
        if surface[row, column] != LAND:
            return distance
        distance += width / 64
