"""Drawing functions: what moves. Airplanes, ships, vehicles."""

from __future__ import annotations

import numpy as np

from sbanet.data.scenes.dice import Dice
from sbanet.data.scenes.geometry import box, ellipse, points, rounded, stroke
from sbanet.data.scenes.palette import ASPHALT, CONCRETE, FOAM, GLASS, LINE, Paint, paint
from sbanet.data.scenes.sketch import Sketch

_FUSELAGE = points(
    (0.5, 0), (0.47, 0.032), (0.4, 0.055), (-0.28, 0.055), (-0.5, 0.018),
    (-0.5, -0.018), (-0.28, -0.055), (0.4, -0.055), (0.47, -0.032),
)  # fmt: skip


def airplane(sketch: Sketch, dice: Dice) -> None:
    """Fuselage, swept or straight wings with engines, a tailplane; sometimes on a concrete apron."""
    body = paint(dice, dice.weighted({"white": 5, "gray": 2.5, "blue": 1.2, "red": 1, "orange": 0.8, "yellow": 0.7}))
    jet = dice.chance(0.7)
    span, sweep, chord = (0.48, 0.27, 0.2) if jet else (0.5, 0.03, 0.15)
    if dice.chance(0.6):
        sketch.ground(rounded(-0.58, -0.56, 0.58, 0.56, 0.12), CONCRETE.shaded(dice.uniform(0.72, 0.8)))
        sketch.ground(stroke(-0.58, 0, 0.58, 0, 0.7 * sketch.pixel), Paint((206, 184, 90)))
    wings = []
    for side in (-1, 1):
        root, tip = 0.15, 0.15 - sweep
        wings.append(
            points(
                (root, 0.04 * side),
                (tip, span * side),
                (tip - 0.065, span * side),
                (root - chord, 0.04 * side),
            )
        )
        wings.append(points((-0.34, 0.02 * side), (-0.44, 0.19 * side), (-0.5, 0.19 * side), (-0.47, 0.02 * side)))
    for outline in (_FUSELAGE, *wings):
        sketch.shadow(outline, 0.1, swept=False)
    for outline in wings:
        sketch.part(outline, body.shaded(0.92))
    for side in (-1, 1):
        if jet:
            x = 0.15 - sweep * 0.38
            sketch.part(box(x - 0.08, 0.19 * side - 0.028, x + 0.06, 0.19 * side + 0.028), Paint((92, 94, 100)))
    sketch.part(_FUSELAGE, body)
    accent = dice.choice([word for word in ("blue", "red", "orange") if word != body.word])
    sketch.part(
        points((-0.3, 0), (-0.44, 0.022), (-0.5, 0.018), (-0.5, -0.018), (-0.44, -0.022)),
        paint(dice, accent).detail(),
    )
    sketch.part(ellipse(0.44, 0, 0.018, 0.03, 8), GLASS)


def ship(sketch: Sketch, dice: Dice) -> None:
    """A pointed hull: a loaded carrier with hatches, or a yacht; under way it draws a wake."""
    if dice.chance(0.6):
        _carrier(sketch, dice)
    else:
        _yacht(sketch, dice)


def _slenderness(half: float) -> str | None:
    """A hull in words: slender where it is 3.9 times as long as wide, clearly not where it is 3.1 times."""
    if half < 0.127:
        return "slender"
    return "" if half > 0.16 else None


def _hull(half: float, inset: float = 0.0) -> np.ndarray:
    y = half - inset
    return points(
        (0.5 - 1.8 * inset, 0), (0.44 - inset, 0.45 * y), (0.32, 0.88 * y), (0.2, y),
        (-0.42 + inset, y), (-0.5 + inset, 0.75 * y), (-0.5 + inset, -0.75 * y), (-0.42 + inset, -y),
        (0.2, -y), (0.32, -0.88 * y), (0.44 - inset, -0.45 * y),
    )  # fmt: skip


def _wake(sketch: Sketch, half: float) -> None:
    for side in (-1, 1):
        bow, out, back = points((0.1, 0.95 * half * side), (-0.66, 1.75 * half * side), (-0.62, 1.4 * half * side))
        sketch.ground(points(tuple(bow), tuple(out), tuple(back)), FOAM.shaded(0.72))
    sketch.ground(
        points((-0.45, half * 0.7), (-0.75, 0.25 * half), (-0.75, -0.25 * half), (-0.45, -half * 0.7)),
        FOAM.shaded(0.86),
    )


def _carrier(sketch: Sketch, dice: Dice) -> None:
    half = dice.uniform(0.105, 0.15)
    sketch.shape = _slenderness(half)
    hull = paint(dice, dice.choice(("red", "black", "gray", "blue", "orange", "green")))
    if dice.chance(0.35):
        _wake(sketch, half)
    sketch.shadow(_hull(half), 0.06, swept=False)
    sketch.part(_hull(half), hull)
    deck = dice.choice([word for word in ("gray", "brown", "red", "green", "white", "orange") if word != hull.word])
    inset = 0.3 * half
    plain = dice.chance(0.35)
    sketch.part(_hull(half, inset), hull.shaded(1.15) if plain else paint(dice, deck))
    hatch = paint(dice, deck).shaded(0.8) if plain else hull.shaded(0.85)
    for k in range(4):
        x = -0.2 + k * 0.13
        sketch.part(box(x, -0.5 * half, x + 0.085, 0.5 * half), hatch.detail())
    sketch.part(box(-0.43, -0.72 * half, -0.28, 0.72 * half), LINE)
    sketch.part(box(-0.34, -0.72 * half, -0.31, 0.72 * half), GLASS)


def _yacht(sketch: Sketch, dice: Dice) -> None:
    half = dice.uniform(0.15, 0.2)
    sketch.shape = _slenderness(half)
    hull = paint(dice, dice.weighted({"white": 4, "blue": 1.5, "red": 1.5, "yellow": 1.2, "cyan": 1, "black": 1}))
    if dice.chance(0.5):
        _wake(sketch, half)
    sketch.shadow(_hull(half), 0.06, swept=False)
    sketch.part(_hull(half), hull)
    sketch.part(_hull(half, 0.4 * half), Paint((190, 160, 116)) if dice.chance(0.4) else hull.shaded(0.88))
    sketch.part(rounded(-0.26, -0.5 * half, 0.16, 0.5 * half, 0.3 * half), hull)
    sketch.part(box(0.04, -0.48 * half, 0.12, 0.48 * half), GLASS)


def vehicle(sketch: Sketch, dice: Dice) -> None:
    """A car with its windows, or a lorry: cab, gap, load."""
    words = {
        "red": 2.0,
        "blue": 2,
        "white": 2,
        "black": 1.6,
        "gray": 1.6,
        "yellow": 1.4,
        "orange": 1,
        "green": 1,
        "purple": 0.7,
        "cyan": 0.7,
    }
    body = paint(dice, dice.weighted(words))
    if dice.chance(0.3):
        _lorry(sketch, dice, body)
        return
    y = dice.uniform(0.2, 0.22)
    x = 0.4
    sketch.shape = ""
    outline = rounded(-x, -y, x, y, 0.09)
    sketch.shadow(outline, 0.13)
    sketch.part(outline, body)
    sketch.part(points((0.2, -0.8 * y), (0.08, -0.66 * y), (0.08, 0.66 * y), (0.2, 0.8 * y)), GLASS)
    sketch.part(points((-0.31, -0.76 * y), (-0.23, -0.62 * y), (-0.23, 0.62 * y), (-0.31, 0.76 * y)), GLASS)
    sketch.part(box(-0.22, -0.72 * y, 0.07, 0.72 * y), body.shaded(1.12))


def _lorry(sketch: Sketch, dice: Dice, cab: Paint) -> None:
    y = dice.uniform(0.145, 0.17)
    sketch.shape = "slender"  # not "long": a large car is longer than a small lorry
    load = paint(
        dice,
        dice.choice([word for word in ("white", "gray", "blue", "orange", "green", "red") if word != cab.word]),
    )
    if dice.chance(0.4):
        load = cab
    sketch.shadow(box(-0.5, -y, 0.5, y), 0.14)
    sketch.part(box(-0.5, -y, 0.2, y), load)
    sketch.part(stroke(-0.15, -y, -0.15, y, 0.5 * sketch.pixel), load.shaded(0.8).detail())
    sketch.part(box(0.2, -0.5 * y, 0.28, 0.5 * y), Paint((40, 40, 44)))
    sketch.part(rounded(0.25, -y, 0.5, y, 0.05), cab)
    sketch.part(box(0.4, -0.8 * y, 0.455, 0.8 * y), GLASS)


def parking_pad(sketch: Sketch) -> None:
    """A paved place with white lines, for what stands off the road."""
    x0, y0, x1, y1 = sketch.extent
    dx, dy = 0.1 * (x1 - x0), 0.25 * (y1 - y0)
    sketch.ground(box(x0 - dx, y0 - dy, x1 + dx, y1 + dy), ASPHALT)
    for y in (y0 - dy * 0.8, y1 + dy * 0.8):
        sketch.ground(stroke(x0 - dx, y, x1 + dx, y, 0.6 * sketch.pixel), LINE)
