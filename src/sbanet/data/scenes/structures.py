"""Drawing functions: what is built on land. Tanks, chimneys, windmills, train stations, houses."""

from __future__ import annotations

from sbanet.data.scenes.dice import Dice
from sbanet.data.scenes.geometry import box, convex_hull, direction, disc, points, stroke
from sbanet.data.scenes.palette import CONCRETE, GRAVEL, Paint, paint
from sbanet.data.scenes.sketch import Sketch


def storage_tank(sketch: Sketch, dice: Dice) -> None:
    """A low cylinder: rim, roof with a lit and a dark side, a stair; often inside a square dike."""
    roof = paint(
        dice,
        dice.weighted(
            {
                "white": 5,
                "gray": 3,
                "green": 1,
                "orange": 0.9,
                "blue": 1,
                "yellow": 0.7,
                "red": 0.6,
                "brown": 0.6,
            }
        ),
    )
    sketch.shape = "rounded"
    radius = 0.5
    if dice.chance(0.5):
        dike = 0.62
        sketch.ground(box(-dike, -dike, dike, dike), GRAVEL.shaded(0.82))
        sketch.ground(box(0.06 - dike, 0.06 - dike, dike - 0.06, dike - 0.06), GRAVEL.shaded(1.04))
    sketch.shadow(disc(0, 0, radius), 0.36)
    ax, ay = sketch.away
    sketch.part(disc(0, 0, radius, 28), roof.shaded(0.62).detail())
    sketch.part(disc(-0.02 * ax, -0.02 * ay, radius - 0.04, 28), roof)
    if dice.chance(0.5):  # a floating roof lies below the rim, which throws a crescent of shade on it
        sketch.part(disc(0, 0, radius - 0.11, 24), roof.shaded(0.7).detail())
        sketch.part(disc(0.06 * ax, 0.06 * ay, radius - 0.15, 24), roof.shaded(0.94))
    else:
        for heading in range(0, 256, 32):
            dx, dy = direction(heading)
            sketch.part(
                stroke(0, 0, 0.44 * dx, 0.44 * dy, max(0.012, 0.35 * sketch.pixel)),
                roof.shaded(0.85).detail(),
            )
        sketch.part(disc(0, 0, 0.07, 10), roof.shaded(0.75).detail())


def chimney(sketch: Sketch, dice: Dice) -> None:
    """Seen a little from the side, so that it leans along its heading: a cooling tower or a banded stack."""
    tower = dice.chance(0.55)
    base, top, x0, x1 = (0.36, 0.25, -0.2, 0.28) if tower else (0.13, 0.09, -0.37, 0.41)
    sketch.shape = "frustum of a cone" if tower else "slender"
    wall = paint(
        dice,
        dice.weighted(
            {"gray": 4, "white": 2, "red": 1, "brown": 1, "blue": 0.8, "orange": 0.8}
            if tower
            else {"gray": 3, "white": 2, "red": 2, "brown": 1.5}
        ),
    )
    ax, ay = sketch.away
    sketch.ground(disc(x0, 0, base * (1.18 if tower else 1.9)), CONCRETE.shaded(0.85))
    reach = 1.0 if tower else 1.6
    shadow = convex_hull(disc(x0, 0, base * 0.95), disc(x0 + reach * 0.5 * ax, reach * 0.5 * ay, top * 0.9))
    sketch.shadow(shadow, 0.0, swept=False)
    sketch.part(convex_hull(disc(x0, 0, base), disc(x1, 0, top)), wall)
    dark = 1 if ay > 0 else -1
    edge = points((x0, dark * base), (x1, dark * top), (x1, dark * top * 0.35), (x0, dark * base * 0.35))
    if not tower and dice.chance(0.65):
        other = paint(dice, "white" if wall.word == "red" else "red")
        for k in (1, 3):
            a, b = x0 + (x1 - x0) * k / 5, x0 + (x1 - x0) * (k + 1) / 5
            ra, rb = base + (top - base) * k / 5, base + (top - base) * (k + 1) / 5
            sketch.part(points((a, -ra), (b, -rb), (b, rb), (a, ra)), other)
    sketch.part(edge, wall.shaded(0.74))
    sketch.part(disc(x1, 0, top), wall.shaded(1.12))
    sketch.part(disc(x1, 0, top * 0.72), Paint((30, 28, 30)))


def windmill(sketch: Sketch, dice: Dice) -> None:
    """A tower that leans along its heading, three blades around its hub, and the shadow of both."""
    colour = paint(dice, dice.weighted({"white": 5, "gray": 2.5, "orange": 0.8, "red": 0.7, "blue": 0.7}))
    phase = dice.integer(0, 85)
    base, hub = (-0.42, 0.0), (0.08, 0.0)
    blade = 0.42
    width = max(0.07, 2.2 * sketch.pixel)
    ax, ay = sketch.away
    sketch.ground(disc(*base, 0.12, 14), GRAVEL)
    shade = (base[0] + 0.5 * ax, base[1] + 0.5 * ay)
    sketch.shadow(stroke(*base, *shade, 0.7 * width), 0.0, swept=False)
    for k in range(3):
        dx, dy = direction(phase + k * 256 // 3)
        x, y = shade[0] + dx * blade * 0.8, shade[1] + dy * blade * 0.8
        sketch.shadow(stroke(*shade, x, y, 0.6 * width), 0.0, swept=False)
    nx = 0.55 * width
    sketch.part(points((base[0], nx), (hub[0], 0.7 * nx), (hub[0], -0.7 * nx), (base[0], -nx)), colour.shaded(0.85))
    for k in range(3):
        dx, dy = direction(phase + k * 256 // 3)
        tip = (hub[0] + dx * blade, hub[1] + dy * blade)
        mid = (hub[0] + dx * blade * 0.28, hub[1] + dy * blade * 0.28)
        ox, oy = -dy * width, dx * width
        sketch.part(
            points(hub, (mid[0] + ox * 0.75, mid[1] + oy * 0.75), (tip[0] + ox * 0.25, tip[1] + oy * 0.25),
                   (tip[0] - ox * 0.2, tip[1] - oy * 0.2), (mid[0] - ox * 0.35, mid[1] - oy * 0.35)),
            colour,
        )  # fmt: skip
    sketch.part(disc(*hub, max(0.05, 0.9 * width), 12), colour.shaded(0.9))


def train_station(sketch: Sketch, dice: Dice) -> None:
    """Parallel tracks and platforms, a hall across the middle of them and a long roof beside them."""
    roof = paint(dice, dice.choice(("gray", "blue", "white", "red", "orange", "cyan", "brown")))
    y = dice.uniform(0.15, 0.19)
    sketch.shape = "slender" if y < 0.168 else None
    platform = paint(dice, "gray").shaded(1.2)
    sketch.part(box(-0.5, -y, 0.5, y), Paint((92, 84, 78)))
    rail = max(0.012, 0.45 * sketch.pixel)
    for k in range(3):
        row = -y + (k + 0.5) * 2 * y / 4.2
        sketch.part(stroke(-0.5, row - 0.016, 0.5, row - 0.016, rail), Paint((188, 184, 178)))
        if k < 2:
            sketch.part(box(-0.4, row + 0.02, 0.4, row + 0.064), platform)
    hall = box(-0.42, 0.36 * y, 0.42, y)
    sketch.shadow(box(-0.42, -y, 0.42, y), 0.06)
    sketch.part(hall, roof)
    sketch.part(box(-0.42, 0.36 * y, 0.42, 0.62 * y), roof.shaded(0.86))
    across = box(-0.13, -y, 0.13, y)
    sketch.part(across, roof.shaded(1.08))
    for k in range(5):
        x = -0.1 + k * 0.05
        sketch.part(stroke(x, -y, x, y, rail), roof.shaded(0.8).detail())


def house(sketch: Sketch, dice: Dice) -> None:
    """Scenery: a gabled roof, one side lit."""
    shade = dice.uniform(0.75, 1.1)
    roof = Paint(dice.choice(((136, 96, 78), (120, 112, 106), (146, 128, 110), (104, 92, 92)))).shaded(shade)
    y = dice.uniform(0.3, 0.42)
    sketch.shadow(box(-0.5, -y, 0.5, y), 0.22)
    lit = 1.14 if sketch.away[1] > 0 else 0.86
    sketch.part(box(-0.5, -y, 0.5, 0), roof.shaded(lit))
    sketch.part(box(-0.5, 0, 0.5, y), roof.shaded(2 - lit))
    sketch.part(stroke(-0.5, 0, 0.5, 0, 0.5 * sketch.pixel), roof.shaded(1.3))
    if dice.chance(0.4):
        x = dice.uniform(-0.3, 0.3)
        sketch.part(box(x - 0.06, 0.1, x + 0.06, 0.24), roof.shaded(0.6))
