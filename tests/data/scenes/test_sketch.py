import cv2
import numpy as np
import pytest

from sbanet.data.scenes.catalogue import CATALOGUE
from sbanet.data.scenes.dice import Dice
from sbanet.data.scenes.geometry import box, direction, disc, heading_of, place, points, rounded
from sbanet.data.scenes.palette import Paint
from sbanet.data.scenes.sketch import Canvas, Sketch, count_words, downsample_labels, instance_numbers
from sbanet.data.scenes.structures import house

RED, BLUE = Paint((190, 40, 40), "red"), Paint((40, 80, 180), "blue")


def test_words_are_counted_where_they_are_visible():
    sketch = Sketch(heading=0, length=40.0, sun=0)
    sketch.position = (50.0, 50.0)
    sketch.part(box(-0.5, -0.25, 0.5, 0.25), RED)
    sketch.part(box(0.25, -0.25, 0.5, 0.25), BLUE)
    sketch.part(box(-0.5, -0.25, -0.25, 0.25), Paint((0, 0, 0)))
    canvas = Canvas(100)
    sketch.render(canvas, 1)
    labels = downsample_labels(canvas.labels)
    (words,) = count_words(labels, 1)
    area = np.count_nonzero(instance_numbers(labels))
    # 40 x 20 pixels, half of them red; OpenCV fills the outline itself too: half a pixel more on each side
    assert area == pytest.approx(41 * 21, rel=0.02)
    assert words["red"] == pytest.approx(400, rel=0.1)
    assert words["blue"] == pytest.approx(200, rel=0.15)
    assert set(words) == {"red", "blue"}


def test_ground_is_painted_but_is_no_part():
    sketch = Sketch(heading=30, length=40.0, sun=0)
    sketch.position = (50.0, 50.0)
    sketch.ground(box(-1, -1, 1, 1), BLUE)
    sketch.part(disc(0, 0, 0.5), RED)
    canvas = Canvas(100)
    canvas.clear((0, 0, 0))
    sketch.lay_ground(canvas)
    assert not canvas.labels.any()
    assert canvas.image.any()
    assert sketch.extent == (-1, -1, 1, 1)


def test_shadow_falls_away_from_the_sun():
    sketch = Sketch(heading=77, length=30.0, sun=64)
    sketch.position = (50.0, 30.0)
    sketch.part(disc(0, 0, 0.3), RED)
    sketch.shadow(disc(0, 0, 0.3), 1.0)
    canvas = Canvas(100)
    sketch.cast(canvas, 1.0)
    rows, columns = np.nonzero(canvas.shade)
    assert columns.mean() / 2 == pytest.approx(50, abs=0.5)  # heading 64 is straight down
    assert rows.max() / 2 == pytest.approx(30 + 9 + 30, abs=1)


@pytest.mark.parametrize("draw", [category.draw for category in CATALOGUE.values()] + [house])
def test_every_part_is_convex(draw):
    for index in range(12):
        sketch = Sketch(heading=0, length=40.0, sun=32)
        draw(sketch, Dice(0, index))
        for part in sketch._grounds + sketch._parts:
            polygon = (part.local * 4096).astype(np.float32)
            hull = cv2.contourArea(cv2.convexHull(polygon))
            assert cv2.contourArea(polygon) == pytest.approx(hull, rel=0.01)


def test_directions_and_headings_agree():
    assert [heading_of(*direction(heading)) for heading in range(256)] == list(range(256))


def test_place_turns_clockwise_and_scales():
    placed = place(points((0.5, 0.0)), 10.0, 20.0, 64, 8.0)
    assert placed.tolist() == [[10.0, 24.0]]


def test_rounded_stays_in_its_box():
    corners = rounded(-0.5, -0.3, 0.5, 0.3, 0.1)
    assert corners.min(axis=0).tolist() == [-0.5, -0.3]
    assert corners.max(axis=0).tolist() == [0.5, 0.3]
