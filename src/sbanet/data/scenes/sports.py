"""Drawing functions: courts, tracks, diamonds, stadiums, golf fields."""

from __future__ import annotations

import numpy as np

from sbanet.data.scenes.dice import Dice
from sbanet.data.scenes.geometry import (
    arc,
    box,
    convex_hull,
    direction,
    disc,
    ellipse,
    points,
    rounded,
    stroke,
)
from sbanet.data.scenes.palette import LINE, Paint, paint
from sbanet.data.scenes.sketch import Sketch


def _frame(sketch: Sketch, x: float, y: float, width: float, colour: Paint = LINE) -> None:
    """The outline of a rectangle of half size (x, y)."""
    for x0, y0, x1, y1 in ((-x, -y, x, -y), (-x, y, x, y), (-x, -y, -x, y), (x, -y, x, y)):
        sketch.part(stroke(x0, y0, x1, y1, width), colour)


def tennis_court(sketch: Sketch, dice: Dice) -> None:
    """A playing field inside a wide surround, the net across its middle and the service boxes beside it."""
    surround = paint(dice, dice.choice(("green", "green", "gray", "red", "blue", "orange", "brown")))
    inner = dice.choice(
        [word for word in ("blue", "green", "red", "orange", "purple", "cyan") if word != surround.word]
    )
    y = dice.uniform(0.27, 0.31)
    line = max(0.018, 0.55 * sketch.pixel)
    sketch.shape = "rectangular"
    sketch.part(box(-0.5, -y, 0.5, y), surround)
    fx, fy = 0.385, y - 0.095
    sketch.part(box(-fx, -fy, fx, fy), paint(dice, inner))
    _frame(sketch, fx, fy, line)
    for x in (-0.2, 0.2):
        sketch.part(stroke(x, -fy * 0.75, x, fy * 0.75, line), LINE)
    sketch.part(stroke(-0.2, 0, 0.2, 0, line), LINE)
    sketch.part(stroke(0, -fy - 0.05, 0, fy + 0.05, max(0.03, 0.8 * sketch.pixel)), Paint((28, 30, 34)))


def basketball_court(sketch: Sketch, dice: Dice) -> None:
    """A field to its edges in one colour, a painted key at each end, a circle in the middle."""
    floor = paint(dice, dice.choice(("gray", "blue", "green", "orange", "red", "cyan", "brown", "purple")))
    key = dice.choice([word for word in ("red", "orange", "blue", "green", "yellow", "white") if word != floor.word])
    keys = paint(dice, key)
    y = dice.uniform(0.27, 0.3)
    line = max(0.02, 0.6 * sketch.pixel)
    sketch.shape = "rectangular"
    sketch.part(box(-0.5, -y, 0.5, y), floor)
    for side in (-1, 1):
        start = 64 if side > 0 else -64
        sketch.part(arc(side * 0.5, 0, 0.25, start, start + 128, 14), LINE)
        sketch.part(arc(side * 0.5, 0, 0.25 - line, start, start + 128, 14), floor)
        sketch.part(box(min(side * 0.5, side * 0.27), -0.1, max(side * 0.5, side * 0.27), 0.1), keys)
    _frame(sketch, 0.5 - line / 2, y - line / 2, line)
    sketch.part(stroke(0, -y, 0, y, line), LINE)
    sketch.part(disc(0, 0, 0.11), LINE)
    sketch.part(disc(0, 0, 0.11 - line), keys)


def ground_track_field(sketch: Sketch, dice: Dice) -> None:
    """A running track around a pitch."""
    track = paint(dice, dice.weighted({"red": 4, "orange": 4, "blue": 1.5, "gray": 1.5, "brown": 1, "cyan": 0.7}))
    pitch = paint(dice, dice.weighted({"green": 6, "yellow": 0.6, "brown": 0.8}))
    y = dice.uniform(0.25, 0.31)
    lanes = 0.36 * y
    sketch.shape = "oval"
    sketch.part(rounded(-0.5, -y, 0.5, y, y), track)
    line = max(0.012, 0.4 * sketch.pixel)
    middle = lanes / 2
    sketch.part(rounded(-0.5 + middle, -y + middle, 0.5 - middle, y - middle, y - middle), LINE)
    middle += line
    sketch.part(rounded(-0.5 + middle, -y + middle, 0.5 - middle, y - middle, y - middle), track)
    sketch.part(rounded(-0.5 + lanes, -y + lanes, 0.5 - lanes, y - lanes, y - lanes), pitch.shaded(0.9))
    fx, fy = 0.5 - y + 0.06, y - lanes - 0.03
    for stripe in range(0, 6, 2):
        x = -fx + stripe * fx / 3
        sketch.part(box(x, -fy, x + fx / 3, fy), pitch.shaded(1.1))
    _frame(sketch, fx, fy, line)
    sketch.part(stroke(0, -fy, 0, fy, line), LINE)


def baseball_field(sketch: Sketch, dice: Dice) -> None:
    """A fan that opens from the home plate: outfield, infield of bare earth, a green diamond in it."""
    outfield = paint(dice, dice.weighted({"green": 5, "brown": 0.8, "yellow": 0.6}))
    dirt = paint(dice, dice.choice([w for w in ("orange", "brown", "yellow", "red") if w != outfield.word]))
    home = (-0.45, 0.0)
    fan = np.concatenate([points((-0.5, 0.03), (-0.5, -0.03)), arc(*home, 0.95, -33, 33, 14)])
    inner = np.concatenate([points(home), arc(*home, 0.88, -31, 31, 14)])
    infield = dice.uniform(0.5, 0.64)
    sketch.part(fan, dirt)
    sketch.part(inner, outfield)
    sketch.part(np.concatenate([points((-0.48, 0.02), (-0.48, -0.02)), arc(*home, infield, -32, 32, 10)]), dirt)
    x, r = -0.45 + 0.27, 0.2
    sketch.part(
        points((x - r, 0), (x, -r), (x + r, 0), (x, r)),
        paint(dice, "green") if outfield.word != "green" else outfield,
    )
    sketch.part(disc(x, 0, 0.045, 12), dirt)
    sketch.part(disc(-0.43, 0, 0.06, 12), dirt)
    line = max(0.014, 0.45 * sketch.pixel)
    for side in (-32, 32):
        dx, dy = direction(side)
        sketch.part(stroke(*home, home[0] + 0.93 * dx, 0.93 * dy, line), LINE)


def stadium(sketch: Sketch, dice: Dice) -> None:
    """A thick ribbed ring of stands and roof, higher than everything around it, with a pitch inside."""
    roof = paint(dice, dice.weighted({"gray": 4, "white": 4, "blue": 1.2, "red": 1.2, "orange": 0.8, "cyan": 0.6}))
    sketch.shape = dice.weighted({"oval": 3, "rounded": 2, "rectangular": 2})
    x = 0.5
    y = {"oval": 0.37, "rounded": 0.5, "rectangular": 0.38}[sketch.shape]

    def ring(inset: float) -> np.ndarray:
        if sketch.shape == "rectangular":
            return rounded(inset - x, inset - y, x - inset, y - inset, max(0.1 - inset * 0.3, 0.02))
        return ellipse(0, 0, x - inset, y - inset, 32)

    sketch.shadow(ring(0), 0.2)
    sketch.part(ring(0), roof.shaded(0.8))
    sketch.part(ring(0.025), roof)
    rib = max(0.012, 0.5 * sketch.pixel)
    for heading in range(0, 256, 16):
        dx, dy = direction(heading)
        reach_x, reach_y = (x, y) if sketch.shape != "rectangular" else (min(x, 1.2 * x), min(y, 1.2 * y))
        sketch.part(stroke(0, 0, dx * (reach_x - 0.03), dy * (reach_y - 0.03), rib), roof.shaded(0.72).detail())
    sketch.part(ring(0.13), Paint((84, 84, 92)))
    sketch.part(ring(0.16), Paint((118, 116, 120)))
    sketch.part(ring(0.2), Paint((34, 66, 40)))
    px, py = (x - 0.235, y - 0.235) if sketch.shape == "rectangular" else (0.72 * (x - 0.2), 0.62 * (y - 0.2))
    pitch = paint(dice, "green")
    sketch.part(box(-px, -py, px, py), pitch)
    sketch.part(stroke(0, -py, 0, py, rib), LINE)


def golf_field(sketch: Sketch, dice: Dice) -> None:
    """Rough ground of irregular outline with bent fairways, each with a putting green and bunkers."""
    rough = paint(dice, "green").shaded(0.74)
    outline = _blob(dice, 0.5, 0.36)
    sketch.part(outline, rough)
    for number in range(14):
        dx, dy = direction(number * 18 + dice.integer(-5, 5))
        away = dice.uniform(0.3, 0.4)
        sketch.part(disc(dx * away, dy * away * 0.72, dice.uniform(0.02, 0.035), 8), rough.shaded(0.62).detail())
    fairway = paint(dice, "green").shaded(1.12)
    sand = dice.choice((Paint((226, 212, 160)), Paint((236, 232, 214)), paint(dice, "yellow")))
    start = dice.integer(0, 255)
    for hole in range(3):
        heading = start + 85 * hole
        (ax, ay), (bx, by), (cx, cy) = (direction(heading + turn) for turn in (0, 34 + dice.integer(-8, 8), 62))
        tee, bend, green = (0.1 * ax, 0.07 * ay), (0.27 * bx, 0.17 * by), (0.37 * cx, 0.25 * cy)
        for (x0, y0), (x1, y1) in ((tee, bend), (bend, green)):
            sketch.part(stroke(x0, y0, x1, y1, 0.11), fairway)
            sketch.part(disc(x1, y1, 0.055, 12), fairway)
        sketch.part(disc(*green, 0.06, 14), Paint((140, 200, 118), "green"))
        for turn in (-12, 13):
            x, y = direction(heading + 62 + turn)
            sketch.part(ellipse(0.36 * x, 0.24 * y, 0.045, 0.03, 10), sand)


def _blob(dice: Dice, rx: float, ry: float) -> np.ndarray:
    """A convex rounded outline that touches the box of half size (rx, ry) about everywhere."""
    count = 9
    radii = [dice.uniform(0.82, 1.0) for _ in range(count)]
    ring = []
    for step in range(4 * count):
        knot, quarter = divmod(step, 4)
        blend = (0.0, 0.16, 0.5, 0.84)[quarter]
        radius = radii[knot] * (1 - blend) + radii[(knot + 1) % count] * blend
        dx, dy = direction(step * 256 // (4 * count))
        ring.append((dx * radius * rx, dy * radius * ry))
    return convex_hull(points(*ring))
