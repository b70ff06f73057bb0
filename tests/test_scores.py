"""Scores against hand-computed cases and against the official evaluation code of the field."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from sbanet.scores import Scores, ious, score


def test_hand_computed() -> None:
    # IoU 0.5, 0.9, 0 (nothing found), 0 (nothing to find): 5/10, 90/100, 0/50, 0/0
    scores = score([5, 90, 0, 0], [10, 100, 50, 0])
    assert scores.mIoU == pytest.approx(1.4 / 4)
    assert scores.oIoU == pytest.approx(95 / 160)
    assert scores.precision == {0.5: 0.5, 0.6: 0.25, 0.7: 0.25, 0.8: 0.25, 0.9: 0.25}
    assert (scores.count, scores.empty) == (4, 1)


@pytest.mark.parametrize("tenths", [5, 6, 7, 8, 9])
def test_an_exact_threshold_counts(tenths: int) -> None:
    # float32(0.7) and float32(0.9) lie below the float64 values: a float32 IoU would miss these.
    assert score([tenths], [10]).precision[tenths / 10] == 1.0
    assert score([tenths * 100 - 1], [1000]).precision[tenths / 10] == 0.0


def test_keys_of_the_dict() -> None:
    values = score([1], [2], thresholds=(0.5, 0.75)).as_dict()
    assert values == {"mIoU": 0.5, "oIoU": 0.5, "Pr@0.5": 1.0, "Pr@0.75": 0.0, "count": 1, "empty": 0}
    assert list(score([1], [2]).as_dict())[:7] == [
        "mIoU", "oIoU", "Pr@0.5", "Pr@0.6", "Pr@0.7", "Pr@0.8", "Pr@0.9",
    ]  # fmt: skip


def test_all_unions_empty() -> None:
    assert score([0, 0], [0, 0]) == Scores(0.0, 0.0, dict.fromkeys((0.5, 0.6, 0.7, 0.8, 0.9), 0.0), 2, 2)


def test_order_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    union = rng.integers(1, 5000, 4000)
    inter = rng.integers(0, union + 1)
    order = rng.permutation(len(union))
    assert score(inter, union) == score(inter[order], union[order])


def test_small_integer_types_do_not_overflow() -> None:
    ones = np.full(1000, 255, dtype=np.uint8)
    assert score(ones, ones).oIoU == 1.0


@pytest.mark.parametrize(
    ("inter", "union", "message"),
    [
        ([1, 2], [3], "got 2 and 1 samples"),
        ([[1]], [[2]], r"got shape \(1, 1\), expected \(N,\)"),
        ([0.5], [1], "got dtype float64, expected integers"),
        ([True], [True], "got dtype bool, expected integers"),
        ([-1], [3], "negative intersection: got I=-1, U=3 in row 0"),
        ([0, 4], [1, 3], "got I=4, U=3 in row 1"),
        ([], [], "got 0 samples, expected at least one"),
    ],
)
def test_impossible_counts_are_refused(inter: list, union: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score(inter, union)


def test_a_threshold_in_percent_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got \[50\], expected values in \(0, 1\]"):
        score([1], [2], thresholds=(50,))


@pytest.fixture(scope="module")
def goldens() -> tuple[dict, dict]:
    folder = os.environ.get("SBANET_GOLDENS")
    if not folder:
        pytest.skip("SBANET_GOLDENS is unset: the official evaluation's numbers are not at hand")
    arrays = dict(np.load(Path(folder) / "metrics.npz", allow_pickle=False))
    return arrays, json.loads((Path(folder) / "metrics.json").read_text())


def test_official_numbers(goldens: tuple[dict, dict]) -> None:
    arrays, official = goldens
    shape = tuple(arrays["shape"])
    pixels = int(np.prod(shape[1:]))
    pred, target = (np.unpackbits(arrays[key], axis=1)[:, :pixels].astype(bool) for key in ("pred", "gt"))
    inter, union = (pred & target).sum(1), (pred | target).sum(1)
    np.testing.assert_array_equal(inter, arrays["I"])
    np.testing.assert_array_equal(union, arrays["U"])
    np.testing.assert_array_equal(ious(inter, union), arrays["iou_test"])

    scores = score(inter, union)
    hits = [round(share * scores.count) for share in scores.precision.values()]
    for source in ("rmsin_test", "lavt_test"):
        assert scores.mIoU == pytest.approx(official[source]["mIoU"], abs=1e-15)
        assert scores.oIoU == pytest.approx(official[source]["oIoU"], abs=1e-15)
        assert hits == official[source]["hits"]
        for threshold, percent in official[source]["precision"].items():
            assert scores.precision[float(threshold)] == pytest.approx(percent / 100, abs=1e-15)
    for source in ("rmsin_train", "lavt_train"):  # what validation in training returns, in percent and float32
        assert 100 * scores.mIoU == pytest.approx(official[source]["returned_iou"], abs=1e-12)
        assert 100 * scores.oIoU == pytest.approx(official[source]["returned_oIoU"], rel=1e-7)
        assert hits == official[source]["hits"]
    assert scores.empty == official["kinds"]["both_empty"]


def test_every_kind_of_official_case_is_there(goldens: tuple[dict, dict]) -> None:
    arrays, _ = goldens
    iou, kinds = ious(arrays["I"], arrays["U"]), arrays["kind"]
    assert set(iou[np.isin(kinds, ["both_empty", "empty_gt", "empty_pred", "disjoint"])]) == {0.0}
    assert set(iou[np.isin(kinds, ["identical", "full_full"])]) == {1.0}
    for tenths in (5, 6, 7, 8, 9):
        inter, union = (arrays[key][kinds == f"exact_0.{tenths}"] for key in ("I", "U"))
        assert score(inter, union).precision[tenths / 10] == 1.0
    assert set(arrays["U"][kinds == "both_empty"]) == {0}
