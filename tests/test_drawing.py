"""Overlays show what they claim; captions hold any sentence."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from sbanet.drawing import FILL, INK, PAPER, _font, _wrap, caption, captioned, contour, heat_map, overlay, spotlight


@pytest.fixture
def square() -> np.ndarray:
    mask = np.zeros((40, 60), bool)
    mask[10:20, 30:50] = True
    return mask


def test_prediction_is_filled_and_target_is_outlined(square: np.ndarray) -> None:
    image = np.full((40, 60, 3), 100, np.uint8)
    elsewhere = np.roll(square, (15, -25), axis=(0, 1))
    picture = overlay(image, square, elsewhere, size=240, opacity=1.0)
    assert picture.shape == (160, 240, 3)
    row, column = (int(4 * c) for c in np.argwhere(elsewhere).mean(0))
    assert picture[row, column].tolist() == list(FILL)
    inside_target = picture[4 * 10 : 4 * 20, 4 * 30 : 4 * 50]
    assert (inside_target == 100).all(), "the contour must not cover the object"
    assert (picture[4 * 10 - 8 : 4 * 10, 4 * 35 : 4 * 45] == 255).all(-1).any(), "no contour above the target"
    assert (picture[:20] == 100).all()


def test_thumbnails_of_another_size_than_the_mask(square: np.ndarray) -> None:
    small = overlay(np.full((20, 30, 3), 100, np.uint8), square, square, size=240, opacity=1.0)
    assert small[60, 160].tolist() == list(FILL)


def test_overlay_leaves_the_image_alone(square: np.ndarray) -> None:
    image = np.full((40, 60, 3), 100, np.uint8)
    overlay(image, square, square, size=60)
    assert (image == 100).all()


def test_a_prediction_without_a_target(square: np.ndarray) -> None:
    image = np.full((40, 60, 3), 100, np.uint8)
    picture = overlay(image, prediction=square, size=60, opacity=1.0)
    assert not (picture == 255).all(-1).any(), "a contour of nothing"
    assert (picture[square] == FILL).all()
    assert (picture[:8] == 100).all()


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_a_contour_stands_out_from_any_ground(ground: int) -> None:
    mask = np.zeros((1200, 1200), bool)
    mask[300:600, 400:800] = True
    picture = contour(np.full((1200, 1200, 3), ground, np.uint8), mask)
    line = picture[290:310, 600]
    assert (line == FILL).all(-1).sum() >= 2
    rim = (line < 100).all(-1)
    assert rim[:10].any()
    assert rim[10:].any()
    for away in (picture[310:590, 410:790], picture[:290], picture[610:]):
        assert (away == ground).all()


def test_a_contour_has_the_images_size_and_leaves_it_alone(square: np.ndarray) -> None:
    image = np.full((40, 60, 3), 100, np.uint8)
    assert contour(image, square).shape == image.shape
    assert (contour(image, np.zeros((40, 60), bool)) == 100).all()
    assert (image == 100).all()
    assert contour(image[:, :1], square[:, 35:36]).shape == (40, 1, 3)


def test_a_contour_is_wider_on_a_larger_image() -> None:
    mask = np.zeros((2000, 2000), bool)
    mask[500:1500, 500:1500] = True
    line = (contour(np.zeros((2000, 2000, 3), np.uint8), mask)[500:505, 1000] == FILL).all(-1)
    assert line[:3].all()


SENTENCES = [
    "the small red vehicle left of the storage tank",
    "x" * 300,
    "",
    "油罐左边的红色小车 – \U0001f6a2 \x00 \t\n é",
    "the ship " * 250,
]


@pytest.mark.parametrize("text", SENTENCES)
@pytest.mark.parametrize("width", [40, 320])
def test_a_caption_is_as_wide_as_asked_and_never_too_high(text: str, width: int) -> None:
    picture = caption(text, width, lines=3)
    assert picture.dtype == np.uint8
    assert picture.shape[1:] == (width, 3)
    assert picture.shape[0] <= caption("a b c " * 100, width, lines=3).shape[0]
    assert (picture[:, [0, -1]] == PAPER).all(), "the text runs out of the picture"


def test_a_caption_shows_its_text() -> None:
    picture = caption("the ship", 200)
    assert (picture == INK).all(-1).any()
    assert not np.array_equal(picture, caption("the shop", 200))


def test_lines_break_at_spaces_and_lose_no_word() -> None:
    font = _font(14)
    text = "the small red vehicle to the left of the storage tank at the bottom of the image"
    lines = _wrap(text, font, 150, 9)
    assert len(lines) > 2
    assert " ".join(lines) == text
    assert all(font.getlength(line) <= 150 for line in lines)
    greedy = [f"{line} {after.split()[0]}" for line, after in pairwise(lines)]
    assert all(font.getlength(line) > 150 for line in greedy), "a line could have held one more word"


def test_what_does_not_fit_ends_in_an_ellipsis() -> None:
    font = _font(14)
    lines = _wrap("the ship " * 250, font, 150, 3)
    assert len(lines) == 3
    assert lines[-1].endswith("...")
    assert font.getlength(lines[-1]) <= 150


def test_a_captioned_picture_is_as_wide_as_before() -> None:
    picture = np.full((30, 200, 3), 100, np.uint8)
    both = captioned(picture, "the ship")
    assert (both[:30] == 100).all()
    np.testing.assert_array_equal(both[30:], caption("the ship", 200))


def test_light_falls_where_the_weights_are() -> None:
    weights = np.zeros((4, 6))
    weights[1, 4] = 1e-3
    picture = spotlight(np.full((40, 60, 3), 100, np.uint8), weights, size=240, darkest=0.1)
    assert picture.shape == (160, 240, 3)
    row, column = np.unravel_index(picture[..., 0].argmax(), picture.shape[:2])
    assert (row // 40, column // 40) == (1, 4)
    assert picture.max() >= 95  # the centre of a pixel lies between four
    assert (picture[100:] == 10).all()


def test_no_weight_at_all_is_dark() -> None:
    assert (spotlight(np.full((8, 8, 3), 100, np.uint8), np.zeros((2, 2)), size=8, darkest=0.5) == 50).all()


def test_one_large_pixel_does_not_put_out_the_others() -> None:
    weights = np.full((40, 40), 0.5)
    weights[0, 0] = 100
    assert (spotlight(np.full((40, 40, 3), 100, np.uint8), weights, size=40) == 100).all()


def test_a_heat_map_is_a_table() -> None:
    values = np.array([[0.0, 1.0, 0.5], [1.0, 0.0, 0.0]])
    picture = heat_map(values, ["one", "a longer name"], ["x", "word", "y"], font_size=10)
    cells = picture[-28:, -60:].reshape(2, 14, 3, 20, 3)
    assert (cells == cells[:, :1, :, :1]).all(), "a cell has one colour"
    brightness = cells[:, 0, :, 0].astype(int).sum(-1)
    assert (brightness[values == 1] > brightness[values == 0.5].max()).all()
    assert (brightness[values == 0] < brightness[values == 0.5].min()).all()
    names = (picture != PAPER).any(-1)
    names[-28:, -60:] = False
    assert names[-28:-14].any(), "the rows have names"
    assert names[-14:].any()
    assert all(names[:-28, -60 + 20 * column : -40 + 20 * column or None].any() for column in range(3))


def test_a_heat_map_needs_a_name_for_each() -> None:
    with pytest.raises(ValueError, match=r"got \(2, 3\), expected \(2 rows, 2 columns\)"):
        heat_map(np.zeros((2, 3)), ["a", "b"], ["x", "y"])
