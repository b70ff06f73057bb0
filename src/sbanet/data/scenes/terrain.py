"""Land, water, fields, trees and the main road of a scene."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np

from sbanet.data.scenes import texture
from sbanet.data.scenes.dice import Dice
from sbanet.data.scenes.geometry import QUARTER, TURN, band, direction, heading_of, moved
from sbanet.data.scenes.palette import RGB
from sbanet.data.scenes.sketch import Canvas, fill_convex

LAND, WATER, ROAD, TAKEN = 0, 1, 2, 255
"""The codes of `Terrain.surface`."""

_LANDS: tuple[RGB, ...] = (
    (92, 116, 70),
    (104, 122, 78),
    (84, 104, 66),
    (140, 132, 98),
    (126, 122, 92),
    (132, 116, 90),
)
_CROPS: tuple[RGB, ...] = (
    (78, 106, 58), (112, 128, 72), (132, 134, 84), (156, 142, 100), (122, 104, 78),
    (146, 130, 102), (96, 116, 62), (168, 156, 116),
)  # fmt: skip
_WATERS: tuple[RGB, ...] = (
    (40, 70, 92),
    (46, 82, 98),
    (52, 84, 84),
    (36, 62, 86),
    (58, 92, 106),
    (62, 92, 78),
    (78, 96, 88),
)
_SAND: RGB = (182, 170, 138)
_ASPHALT: tuple[RGB, ...] = ((98, 98, 102), (110, 108, 106), (88, 88, 94))
_WOODS: tuple[RGB, ...] = ((46, 70, 42), (54, 78, 46), (40, 62, 42), (62, 84, 50))


@dataclass(frozen=True, slots=True)
class Corridor:
    """A river or a road: a centre line and how wide it is.

    Attributes:
        centre: (N, 2) points in pixels, evenly spaced.
        headings: of the line at each point.
        half: half its width in pixels.
    """

    centre: np.ndarray
    headings: list[int]
    half: float


@dataclass(slots=True)
class Terrain:
    """What objects stand on.

    Attributes:
        surface: (H, W) uint8: LAND, WATER, ROAD, or TAKEN by an object and the gap around it.
        river: the river, if the scene has one.
        highway: the main road of an inland scene.
        roads: all roads, the main one first.
        shore: (x, y, heading to the open water) along a coast, in pixels.
        asphalt: the colour of all roads of the scene.
    """

    surface: np.ndarray
    river: Corridor | None = None
    highway: Corridor | None = None
    roads: list[Corridor] = field(default_factory=list)
    shore: list[tuple[float, float, int]] = field(default_factory=list)
    asphalt: RGB = _ASPHALT[0]


def paint_terrain(canvas: Canvas, dice: Dice, kind: str, *, contrast: int, sun: int) -> Terrain:
    """Paint the ground of a scene.

    Args:
        canvas: painted over.
        dice: the scene's draws.
        kind: "inland", "coast" or "river".
        contrast: of the ground's texture, in grey levels.
        sun: the heading in which shadows fall.
    """
    size = canvas.size
    terrain = Terrain(surface=np.zeros((size, size), np.uint8), asphalt=dice.choice(_ASPHALT))
    canvas.clear(dice.choice(_LANDS))
    if dice.chance(0.75):
        _fields(canvas, dice)
    side = canvas.image.shape[0]
    canvas.image = texture.apply(canvas.image, texture.crop(dice, texture.ground_tile(side, contrast), side))
    if kind == "coast":
        _coast(canvas, dice, terrain, contrast)
    elif kind == "river":
        terrain.river = _corridor(dice, size, half=size * dice.uniform(0.085, 0.12), bend=0.09)
        _water(
            canvas,
            dice,
            terrain,
            _ribbon(terrain.river, 0.0),
            contrast,
            wide=_ribbon(terrain.river, 0.016 * size),
        )
    else:
        terrain.highway = _corridor(dice, size, half=size * 0.052, bend=0.04)
        draw_road(canvas, terrain, terrain.highway)
    _woods(canvas, dice, terrain, sun)
    return terrain


def _fields(canvas: Canvas, dice: Dice) -> None:
    """Parcels on a tilted grid, some of them ploughed in stripes."""
    size, heading = canvas.size, dice.integer(0, TURN - 1)
    (ux, uy), (vx, vy) = direction(heading), direction(heading + QUARTER)
    cell = size * dice.uniform(0.26, 0.45)
    ux, uy, vx, vy = ux * cell, uy * cell, vx * cell, vy * cell
    ox, oy = dice.uniform(0.3, 0.7) * size, dice.uniform(0.3, 0.7) * size

    def strip(column: float, row: float, wide: float, high: float) -> list[tuple[float, float]]:
        corners = ((column, row), (column + wide, row), (column + wide, row + high), (column, row + high))
        return [(ox + a * ux + b * vx, oy + a * uy + b * vy) for a, b in corners]

    for row in range(-4, 4):
        for column in range(-4, 4):
            x, y = ox + (column + 0.5) * ux + (row + 0.5) * vx, oy + (column + 0.5) * uy + (row + 0.5) * vy
            if not (-cell < x < size + cell and -cell < y < size + cell) or dice.chance(0.5):
                continue
            wide = dice.choice((1, 1, 2))
            r, g, b = dice.choice(_CROPS)
            canvas.fill(np.array(strip(column, row, wide, 1)), (r, g, b))
            if dice.chance(0.4):
                furrows = [strip(column, row + 0.05 + 0.125 * k, wide, 0.055) for k in range(8)]
                canvas.fill(np.array(furrows), (r - 9, g - 8, b - 6))


def _corridor(dice: Dice, size: int, *, half: float, bend: float) -> Corridor:
    """A gently winding line through the image, not too near a corner."""
    heading = dice.integer(0, TURN - 1)
    (ux, uy), (vx, vy) = direction(heading), direction(heading + QUARTER)
    cx, cy = dice.uniform(0.3, 0.7) * size, dice.uniform(0.3, 0.7) * size
    phase, waves, swing = (
        dice.integer(0, TURN - 1),
        dice.uniform(0.6, 1.1),
        dice.uniform(0.3, 1.0) * bend * size,
    )
    line, headings = [], []
    for k in range(-24, 25):
        along = k * size / 24
        angle = phase + round(waves * along / size * TURN)
        sideways = swing * direction(angle)[1]
        slope = swing * waves * 6.2832 / size * direction(angle)[0]
        line.append((cx + along * ux + sideways * vx, cy + along * uy + sideways * vy))
        headings.append((heading + heading_of(1.0, slope)) % TURN)
    return Corridor(np.array(line), headings, half)


def _ribbon(corridor: Corridor, margin: float) -> np.ndarray:
    """The quadrilaterals of a corridor, `margin` pixels wider on both sides."""
    normals = np.array([direction(heading + QUARTER) for heading in corridor.headings]) * (corridor.half + margin)
    return band(corridor.centre + normals, corridor.centre - normals)


def _coast(canvas: Canvas, dice: Dice, terrain: Terrain, contrast: int) -> None:
    """Water beyond a winding shore, on about half of the image."""
    size = canvas.size
    seaward = dice.integer(0, TURN - 1)
    (nx, ny), (ux, uy) = direction(seaward), direction(seaward + QUARTER)
    offset = dice.uniform(-0.14, 0.08) * size
    phase, waves, swing = dice.integer(0, TURN - 1), dice.uniform(0.5, 1.4), dice.uniform(0.02, 0.08) * size
    line = []
    for k in range(-24, 25):
        along = k * size / 26
        out = offset + swing * direction(phase + round(waves * along / size * TURN))[1]
        line.append((size / 2 + along * ux + out * nx, size / 2 + along * uy + out * ny))
    shore = np.array(line)
    sea = band(shore, moved(shore, 2 * size * nx, 2 * size * ny))
    sand = dice.uniform(0.012, 0.035) * size
    _water(canvas, dice, terrain, sea, contrast, wide=moved(sea, -sand * nx, -sand * ny))
    terrain.shore = [(x, y, seaward) for x, y in line if 0 < x < size and 0 < y < size]
    if dice.chance(0.5):
        inland = dice.uniform(0.15, 0.24) * size
        headings = [heading_of(x1 - x0, y1 - y0) for (x0, y0), (x1, y1) in pairwise(line)]
        draw_road(
            canvas,
            terrain,
            Corridor(moved(shore, -inland * nx, -inland * ny), [*headings, headings[-1]], size * 0.045),
        )


def _water(canvas: Canvas, dice: Dice, terrain: Terrain, shape: np.ndarray, contrast: int, *, wide: np.ndarray) -> None:
    """Fill quadrilaterals with rippled water, inside the rim of sand that `wide` leaves."""
    colour = dice.choice(_WATERS)
    canvas.fill(wide, _SAND)
    side = canvas.image.shape[0]
    flat = np.empty_like(canvas.image)
    cv2.rectangle(flat, (0, 0), (side, side), colour, -1)
    rippled = texture.apply(flat, texture.crop(dice, texture.ripple_tile(side, contrast, dice.chance(0.5)), side))
    mask = np.zeros((side, side), np.uint8)
    canvas.stencil(mask, shape)
    cv2.copyTo(rippled, mask, canvas.image)
    fill_surface(terrain.surface, shape, WATER)


def fill_surface(surface: np.ndarray, pixels: np.ndarray, code: int) -> None:
    """Mark a polygon (N, 2), or several (P, N, 2), in pixels of the image, on the surface map."""
    fill_convex(surface, np.rint((pixels - 0.5) * 16).astype(np.int32), code)


def draw_road(canvas: Canvas, terrain: Terrain, road: Corridor) -> None:
    """Paint a road with its edges and dashes, and mark it on the surface map."""
    edge = max(0.13 * road.half, 0.5)
    r, g, b = terrain.asphalt
    canvas.fill(_ribbon(road, 0.14 * road.half), (min(r + 52, 255), min(g + 48, 255), min(b + 36, 255)))
    canvas.fill(_ribbon(road, 0.0), terrain.asphalt)
    canvas.fill(_ribbon(road, -edge), (222, 220, 212))
    canvas.fill(_ribbon(road, -edge - max(0.09 * road.half, 0.4)), terrain.asphalt)
    half = max(0.05 * road.half, 0.35)
    for k in range(0, len(road.headings) - 1, 2):
        (x0, y0), (x1, y1) = road.centre[k], road.centre[k + 1]
        nx, ny = direction(road.headings[k] + QUARTER)
        nx, ny = nx * half, ny * half
        canvas.fill(
            np.array([(x0 + nx, y0 + ny), (x1 + nx, y1 + ny), (x1 - nx, y1 - ny), (x0 - nx, y0 - ny)]),
            (222, 214, 170),
        )
    fill_surface(terrain.surface, _ribbon(road, 0.0), ROAD)
    terrain.roads.append(road)


def _woods(canvas: Canvas, dice: Dice, terrain: Terrain, sun: int) -> None:
    """Clumps of trees on open land, each crown with its shadow and a lit side."""
    size = canvas.size
    dx, dy = direction(sun)
    for _ in range(dice.integer(2, 5)):
        x, y, spread = dice.uniform(0, size), dice.uniform(0, size), dice.uniform(0.03, 0.1) * size
        crowns = []
        for _ in range(dice.integer(3, 10)):
            tx, ty = x + dice.uniform(-1, 1) * spread, y + dice.uniform(-1, 1) * spread
            if 0 <= tx < size and 0 <= ty < size and terrain.surface[int(ty), int(tx)] == LAND:
                crowns.append((tx, ty, dice.uniform(0.012, 0.024) * size, dice.choice(_WOODS)))
        for tx, ty, radius, _colour in crowns:
            canvas.blob(tx + 0.6 * radius * dx, ty + 0.6 * radius * dy, radius, (34, 44, 32))
        for tx, ty, radius, (r, g, b) in crowns:
            canvas.blob(tx, ty, radius, (r, g, b))
            canvas.blob(tx - 0.3 * radius * dx, ty - 0.3 * radius * dy, 0.55 * radius, (r + 16, g + 18, b + 10))
