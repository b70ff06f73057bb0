"""Segmentations that can be drawn, and those that cannot."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from sbanet.data.readers.refer import segments
from sbanet.data.readers.segmentations import require_covering, require_drawable, resized_mask, uncompressed
from sbanet.errors import DataError
from sbanet.resizing import resize_mask

SIZE = (60, 47)


def blob(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).random(SIZE).astype(np.float32)
    return (cv2.GaussianBlur(noise, (0, 0), 0.5 + seed) > 0.5).astype(np.uint8)


def runs_of(mask: np.ndarray) -> list[int]:
    ends = np.flatnonzero(np.diff(np.concatenate([[0], mask.ravel("F")])))
    return np.diff(np.concatenate([[0], ends, [mask.size]])).tolist()


def rle_of(mask: np.ndarray) -> dict:
    rle = coco_mask.encode(np.asfortranarray(mask))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


@pytest.mark.parametrize("seed", range(6))
def test_compressed_runs_as_numbers(seed):
    mask = blob(seed)
    assert uncompressed(rle_of(mask)["counts"].encode()).tolist() == runs_of(mask)
    require_drawable([rle_of(mask)], *SIZE)
    require_covering([rle_of(mask)], *SIZE)
    require_covering({"size": list(SIZE), "counts": runs_of(mask)}, *SIZE)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        (None, "is a NoneType"),
        ("abc", "is a str"),
        ([], "has no part"),
        ([7], "is a int, expected a polygon"),
        ([[1, 2, 3, 4]], "has 4 numbers"),
        ([[1, 2, 3, 4, 5, 6, 7]], "has 7 numbers"),
        ([[1, 2, 3, 4, 5, float("nan")]], "NaN or infinite"),
        ([[1, 2, 3, 4, 5, float("inf")]], "NaN or infinite"),
        ([[1, 2, 3, 4, 5, 1e12]], "further away"),
        ([[1, 2, 3, 4, 5, "six"]], "something else than numbers"),
        ({"size": [47, 60], "counts": [2820]}, r"of size \[47, 60\]"),
        ({"counts": [2820]}, "of size None"),
        ({"size": [60, 47]}, "run lengths are a NoneType"),
    ],
)
def test_what_cannot_be_drawn(segmentation, message):
    with pytest.raises(DataError, match=message):
        require_drawable(segmentation, *SIZE)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([2819], "cover 2819 pixels, the image has 2820"),
        ([-1, 2821], "a negative one"),
        ([2820.0], "something else than whole numbers"),
        (["2820"], "something else than whole numbers"),
        ("", "are empty"),
        ("~~", "a letter that compressed ones do not have"),
        ("é", "a letter that compressed ones do not have"),
        ("P", "end within a number"),
        ("PPPPPPPPPPP1", "beyond any image"),
    ],
)
def test_damaged_run_lengths(counts, message):
    with pytest.raises(DataError, match=message):
        require_covering([{"size": list(SIZE), "counts": counts}], *SIZE)


def test_every_cut_is_seen():
    counts = rle_of(blob(1))["counts"]
    for length in range(len(counts)):
        with pytest.raises(DataError):
            require_covering({"size": list(SIZE), "counts": counts[:length]}, *SIZE)


lengths = st.integers(1, 70)


@st.composite
def segmentations(draw: st.DrawFn, height: int, width: int) -> list:
    """One to three parts: polygons beyond the image's edge too, run lengths compressed or as numbers."""
    parts = []
    for kind in draw(st.lists(st.sampled_from(["polygon", "compressed", "numbers"]), min_size=1, max_size=3)):
        if kind == "polygon":
            corner = st.integers(-5, 75) | st.floats(-5, 75, width=32)
            parts.append(draw(st.lists(corner, min_size=6, max_size=12).filter(lambda numbers: len(numbers) % 2 == 0)))
            continue
        rng = np.random.default_rng(draw(st.integers(0, 2**32)))
        mask = (rng.random((height, width)) < draw(st.sampled_from([0, 0.03, 0.5, 0.97, 1]))).astype(np.uint8)
        parts.append(rle_of(mask) if kind == "compressed" else {"size": [height, width], "counts": runs_of(mask)})
    return parts


@given(st.data(), lengths, lengths, lengths)
def test_a_mask_drawn_at_the_networks_size_is_the_resized_one(data, height, width, side):
    parts = data.draw(segmentations(height, width))
    require_drawable(parts, height, width)
    whole = segments(parts, height, width).sum(2) == 1
    found = resized_mask(parts, height, width, side)
    assert (found.dtype, found.flags.c_contiguous) == (bool, True)
    np.testing.assert_array_equal(found, resize_mask(np.ascontiguousarray(whole), side))


def test_damaged_runs_are_not_drawn_small_either():
    with pytest.raises(DataError, match="cover 2819 pixels, the image has 2820"):
        resized_mask({"size": list(SIZE), "counts": [19, 2800]}, *SIZE, 24)
