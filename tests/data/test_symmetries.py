"""The eight symmetries of a picture form a group, and pixels and directions obey it alike."""

import itertools

import numpy as np
import pytest

from sbanet.data.symmetries import (
    BEARINGS,
    HORIZONTAL_FLIP,
    IDENTITY,
    QUARTER_TURN,
    SYMMETRIES,
    VERTICAL_FLIP,
    Symmetry,
    generated,
)

PIXELS = np.arange(2 * 3 * 3).reshape(2, 3, 3)
OFFSETS = [(0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1)]
"""(x, y) of each bearing, clockwise from the top; y grows downwards."""


def test_what_the_three_basic_ones_do():
    assert np.array_equal(HORIZONTAL_FLIP.picture(PIXELS), PIXELS[:, ::-1])
    assert np.array_equal(VERTICAL_FLIP.picture(PIXELS), PIXELS[::-1])
    turned = QUARTER_TURN.picture(PIXELS)
    assert turned.shape == (3, 2, 3)
    assert np.array_equal(turned[0, -1], PIXELS[0, 0]), "clockwise: the upper left corner goes to the upper right"


@pytest.mark.parametrize(("first", "second"), list(itertools.product(SYMMETRIES, SYMMETRIES)))
def test_one_after_the_other_is_one_of_them(first, second):
    both = first.then(second)
    assert both in SYMMETRIES
    assert np.array_equal(both.picture(PIXELS), second.picture(first.picture(PIXELS)))
    assert [both.bearing(k) for k in range(BEARINGS)] == [second.bearing(first.bearing(k)) for k in range(BEARINGS)]


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_directions_go_where_the_pixels_go(symmetry):
    for bearing, (x, y) in enumerate(OFFSETS):
        pixels = np.zeros((3, 3), bool)
        pixels[1 + y, 1 + x] = True
        [[row, column]] = np.argwhere(symmetry.picture(pixels))
        assert OFFSETS[symmetry.bearing(bearing)] == (column - 1, row - 1)


def test_a_picture_is_not_copied():
    assert all(np.shares_memory(symmetry.picture(PIXELS), PIXELS) for symmetry in SYMMETRIES)


def test_what_they_combine_to():
    assert generated() == (IDENTITY,)
    assert set(generated(HORIZONTAL_FLIP)) == {IDENTITY, HORIZONTAL_FLIP}
    assert len(generated(QUARTER_TURN)) == len(generated(HORIZONTAL_FLIP, VERTICAL_FLIP)) == 4
    assert set(generated(QUARTER_TURN, VERTICAL_FLIP)) == set(SYMMETRIES)


@pytest.mark.parametrize("turns", [-1, 4])
def test_no_other_turns(turns):
    with pytest.raises(ValueError, match=f"turns={turns}: expected 0, 1, 2 or 3"):
        Symmetry(False, turns)
