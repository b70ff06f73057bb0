"""Drawing functions: what crosses or juts out. Bridges, dams, overpasses, toll stations, harbours.

Their x axis crosses the river or the road; a harbour's points out to the water.
"""

from __future__ import annotations

from itertools import pairwise

from sbanet.data.scenes.dice import Dice
from sbanet.data.scenes.geometry import band, box, ellipse, moved, points, stroke
from sbanet.data.scenes.palette import ASPHALT, CONCRETE, FOAM, LINE, Paint, paint
from sbanet.data.scenes.sketch import Sketch


def _deck(sketch: Sketch, half: float, deck: Paint, rail: Paint) -> None:
    """A roadway with two railings and a dashed line."""
    edge = max(0.12 * half, 0.8 * sketch.pixel)
    sketch.part(box(-0.5, -half, 0.5, half), rail)
    sketch.part(box(-0.5, edge - half, 0.5, half - edge), deck)
    dash = max(0.07 * half, 0.5 * sketch.pixel)
    for k in range(5):
        x = -0.45 + 0.2 * k
        sketch.part(stroke(x, 0, x + 0.1, 0, dash), ASPHALT if deck.word == "white" else LINE)


def bridge(sketch: Sketch, dice: Dice) -> None:
    """A deck from bank to bank on piers, plain or under a truss."""
    deck = paint(
        dice,
        dice.weighted(
            {
                "gray": 5,
                "white": 1,
                "red": 1.2,
                "orange": 1.2,
                "yellow": 0.8,
                "brown": 1,
                "blue": 0.8,
                "green": 0.8,
            }
        ),
    )
    half = min(max(dice.uniform(0.075, 0.15), 2.6 * sketch.pixel), 0.16)
    sketch.shape = "slender" if half < 0.1 else "" if half > 0.13 else None
    for x in (-0.22, 0, 0.22):
        sketch.ground(box(x - 0.025, -half - 0.05, x + 0.025, half + 0.05), CONCRETE.shaded(0.8))
    sketch.shadow(box(-0.42, -half, 0.42, half), 0.12, swept=False)
    _deck(sketch, half, deck, deck.shaded(1.25 if deck.word == "gray" else 0.75))
    if dice.chance(0.4):
        beam = max(0.02, 0.55 * sketch.pixel)
        for k in range(8):
            x = -0.4 + k * 0.1
            sketch.part(stroke(x, -half, x + 0.1, half, beam), deck.shaded(0.6).detail())
            sketch.part(stroke(x + 0.1, -half, x, half, beam), deck.shaded(0.6).detail())
    sketch.road_half = half * 0.9


def dam(sketch: Sketch, dice: Dice) -> None:
    """A thick curved wall: the crest, a face that falls away downstream, gates and white water below them."""
    wall = paint(dice, dice.weighted({"gray": 5, "white": 2, "brown": 1.5, "yellow": 0.8, "orange": 0.8}))
    thick, sag = dice.uniform(0.2, 0.25), dice.uniform(0.06, 0.16)
    xs = [-0.5 + k / 12 for k in range(13)]
    crest = points(*[(x, -sag * (1 - 4 * x * x) + sag / 2) for x in xs])
    foot = moved(crest, 0, thick)
    foot[:, 0] *= 0.92
    below = float(foot[6, 1])
    for k in range(4, 9):
        x, y = foot[k].tolist()
        sketch.ground(ellipse(x, y, 0.06, dice.uniform(0.1, 0.22), 12), FOAM.shaded(0.84))
    for k in (5, 6, 7):
        sketch.ground(ellipse(float(foot[k, 0]), below, 0.04, dice.uniform(0.08, 0.15), 10), FOAM)
    for face in band(crest, foot):
        sketch.part(face, wall.shaded(0.8))
    for top in band(crest, moved(crest, 0, 0.42 * thick)):
        sketch.part(top, wall.shaded(1.12))
    line = max(0.02, 0.6 * sketch.pixel)
    for a, b in pairwise(crest):
        sketch.part(stroke(a[0], a[1] + 0.2 * thick, b[0], b[1] + 0.2 * thick, line), Paint((84, 84, 88)))
    for k in range(4, 9):
        x, y = crest[k]
        sketch.part(
            stroke(x, y + 0.5 * thick, foot[k, 0], foot[k, 1], max(0.03, 0.8 * sketch.pixel)),
            Paint((52, 54, 60)),
        )


def overpass(sketch: Sketch, dice: Dice) -> None:
    """A road lifted over another one; it hides the lower road and shades it."""
    deck = paint(dice, dice.weighted({"gray": 6, "white": 1.5, "yellow": 1, "orange": 1, "blue": 0.6, "green": 0.6}))
    half = dice.uniform(0.12, 0.17)
    sketch.shadow(box(-0.46, -half, 0.46, half), 0.16, swept=False)
    _deck(sketch, half, deck, LINE)
    for x in (-0.47, 0.47):
        sketch.part(box(x - 0.03, -half, x + 0.03, half), deck.shaded(0.7))
    sketch.road_half = half * 0.85


def toll_station(sketch: Sketch, dice: Dice) -> None:
    """A canopy across a widened road, its booths on islands that divide the lanes."""
    roof = paint(dice, dice.weighted({"blue": 3, "gray": 2.5, "white": 2, "red": 1.5, "cyan": 1, "orange": 1}))
    half = dice.uniform(0.09, 0.12)
    for side in (-1, 1):
        sketch.ground(
            points(
                (-0.52, 0),
                (-0.52, 0.2 * side),
                (-0.3, 0.62 * side),
                (0.3, 0.62 * side),
                (0.52, 0.2 * side),
                (0.52, 0),
            ),
            ASPHALT,
        )
    sketch.shadow(box(-0.5, -half, 0.5, half), 0.12)
    lane = max(0.03, 0.8 * sketch.pixel)
    for k in range(6):
        x = -0.42 + 0.168 * k
        sketch.part(stroke(x, -2.5 * half, x, 2.5 * half, lane), Paint((214, 206, 178)))
    sketch.part(box(-0.5, -half, 0.5, half), roof)
    sketch.part(box(-0.5, -half, 0.5, -0.2 * half), roof.shaded(0.85))
    for k in range(7):
        x = -0.42 + 0.14 * k
        sketch.part(stroke(x, -half, x, half, 0.4 * sketch.pixel), roof.shaded(0.75).detail())


def harbor(sketch: Sketch, dice: Dice) -> None:
    """A quay on the shore and a pier into the water with jetties on both sides."""
    colour = paint(dice, dice.weighted({"gray": 4, "white": 2, "brown": 2, "black": 0.8, "orange": 0.6}))
    half = dice.uniform(0.2, 0.3)
    width = max(0.05, 1.6 * sketch.pixel)
    outlines = [box(-0.5, -half - 0.08, -0.34, half + 0.08), stroke(-0.4, 0, 0.5, 0, 1.5 * width)]
    count = dice.integer(3, 4)
    for k in range(count):
        x = -0.1 + k * 0.56 / (count - 1)
        outlines.append(stroke(x, -half, x, half, width))
    for outline in outlines:
        sketch.shadow(outline, 0.05, swept=False)
    for outline in outlines:
        sketch.part(outline, colour)
    sketch.part(stroke(-0.38, 0, 0.48, 0, 0.4 * width), colour.shaded(0.75))
    for side in (-1, 1):
        sketch.part(box(-0.48, side * half * 0.6 - 0.07, -0.4, side * half * 0.6 + 0.07), Paint((126, 92, 80)))
