"""Resizing against Pillow's own and against what a pixel covers."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from sbanet.errors import ConfigError
from sbanet.resizing import require_known, resize_image, resize_mask

SIZES = [(800, 800), (512, 512), (479, 481), (37, 91), (1, 1), (1, 300), (200, 3), (1333, 60)]


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("side", [480, 64, 33])
@pytest.mark.parametrize("size", SIZES)
def test_pillow_is_bit_by_bit_what_pillow_does(size: tuple[int, int], side: int) -> None:
    image = noise(*size)
    resized = resize_image(image, side, "pillow")
    expected = Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR)
    assert np.array_equal(resized, np.asarray(expected))
    assert resized.dtype == np.uint8
    assert resized.flags.writeable


def test_pillow_and_area_are_not_the_same() -> None:
    image = noise(800, 800)
    difference = resize_image(image, 480, "pillow").astype(int) - resize_image(image, 480, "area")
    assert np.abs(difference).mean() > 1


def test_area_averages_where_it_shrinks_and_interpolates_where_it_grows() -> None:
    image = noise(20, 30)
    shrunk = resize_image(image, 10, "area").astype(float)
    assert np.abs(shrunk - image.reshape(10, 2, 10, 3, 3).mean(axis=(1, 3))).max() <= 0.5 + 1e-3
    grown = resize_image(image, 60, "area")
    assert np.array_equal(grown, cv2.resize(image, (60, 60), interpolation=cv2.INTER_LINEAR))


@pytest.mark.parametrize("resize", ["area", "pillow"])
def test_what_has_the_size_is_left_as_it_is(resize: str) -> None:
    image = noise(16, 16)
    assert resize_image(image, 16, resize) is image
    mask = image[..., 0] > 99
    assert resize_mask(mask, 16) is mask


@pytest.mark.parametrize("side", [480, 224, 33])
def test_masks_are_those_of_pillow(side: int) -> None:
    # 512 to 480 and its like have middles on the border of two pixels, where readings of "nearest" differ
    for length in sorted({*range(1, 1300, 7), *range(64, 1300, 64)}):
        wide = np.random.default_rng(length).random((3, length)) > 0.5
        for mask in (wide, wide.T.copy()):
            expected = Image.fromarray(mask.view(np.uint8)).resize((side, side), Image.Resampling.NEAREST)
            assert np.array_equal(resize_mask(mask, side), np.asarray(expected).astype(bool)), length


@pytest.mark.parametrize(("length", "side"), [(800, 480), (1023, 300), (37, 64), (333, 480)])
def test_a_pixel_of_a_mask_is_the_one_that_its_middle_falls_into(length: int, side: int) -> None:
    mask = np.random.default_rng(0).random((length, length)) > 0.5
    chosen = np.floor((np.arange(side) + 0.5) * length / side).astype(int)
    assert np.array_equal(resize_mask(mask, side), mask[np.ix_(chosen, chosen)])


def test_an_unknown_way() -> None:
    with pytest.raises(ConfigError, match=r"data\.resize=nearest: expected area, pillow"):
        require_known("nearest", key="data.resize")
