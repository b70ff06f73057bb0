import numpy as np
import pytest

from sbanet.data.scenes import layout
from sbanet.data.scenes.dice import Dice
from sbanet.data.scenes.geometry import box
from sbanet.data.scenes.palette import Paint
from sbanet.data.scenes.sketch import Canvas, Sketch, downsample_labels
from sbanet.data.scenes.terrain import LAND, TAKEN, WATER, Terrain


def plank(heading: int = 20, length: float = 30.0) -> Sketch:
    sketch = Sketch(heading=heading, length=length, sun=0)
    sketch.part(box(-0.5, -0.2, 0.5, 0.2), Paint((200, 0, 0), "red"))
    return sketch


def drawn(sketch: Sketch, size: int) -> np.ndarray:
    canvas = Canvas(size)
    sketch.render(canvas, 1)
    return downsample_labels(canvas.labels) > 0


@pytest.mark.parametrize("code", [LAND, WATER])
def test_objects_stand_on_their_own_kind_of_ground(code):
    size = 120
    ground = np.full((size, size), WATER, np.uint8)
    ground[:, 55:] = LAND
    for index in range(20):
        terrain = Terrain(surface=ground.copy())
        dice = Dice(0, index)
        sketch = plank(heading=dice.integer(0, 255))
        assert layout.place_on(sketch, terrain, dice, code=code, gap=2.0, attempts=20)
        assert (ground[drawn(sketch, size)] == code).all()


def test_placed_objects_keep_their_gap():
    size, gap = 160, 4.0
    terrain, dice = Terrain(surface=np.full((size, size), LAND, np.uint8)), Dice(0, 0)
    masks = []
    for _ in range(12):
        sketch = plank(heading=dice.integer(0, 255))
        if layout.place_on(sketch, terrain, dice, code=LAND, gap=gap, attempts=20):
            masks.append(np.argwhere(drawn(sketch, size)))
    assert len(masks) >= 6
    for i, first in enumerate(masks):
        for second in masks[:i]:
            distances = np.sqrt(((first[:, None] - second[None]) ** 2).sum(-1))
            # the middle settles within half a pixel of where the ground was checked
            assert distances.min() >= gap - 1.5


def test_no_room_is_reported_not_forced():
    terrain = Terrain(surface=np.full((100, 100), TAKEN, np.uint8))
    assert not layout.place_on(plank(), terrain, Dice(0, 0), code=LAND, gap=2.0, attempts=20)
    assert not layout.place_at(plank(), terrain, (50.0, 50.0, 0), gap=2.0)


def test_slots_do_not_leave_the_image():
    terrain = Terrain(surface=np.full((100, 100), LAND, np.uint8))
    assert not layout.place_at(plank(), terrain, (5.0, 50.0, 0), gap=2.0)
    assert layout.place_at(plank(), terrain, (50.0, 50.0, 0), gap=2.0)
    assert not layout.place_at(plank(), terrain, (52.0, 52.0, 0), gap=2.0)
