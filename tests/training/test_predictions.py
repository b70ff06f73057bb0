"""The table of answers agrees with the dataset, with its own masks, and with the scores of the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from pycocotools import mask as coco_mask

from sbanet.analysis.runs import PREDICTION_COLUMNS, Run
from sbanet.data.datamodules import ReferringDataModule
from sbanet.scores import score
from sbanet.training.predictions import PredictionTable, encode_rle, gather_rows


@pytest.fixture(scope="module")
def table(tiny_run: Path) -> pd.DataFrame:
    return Run(tiny_run).predictions("test")


@pytest.fixture(scope="module")
def datamodule(tiny_run: Path) -> ReferringDataModule:
    from hydra.utils import instantiate

    config = json.loads((tiny_run / "run.json").read_text())["config"]
    return instantiate(config["data"], tokenizer=None)


def mask_of(rle: str, height: int, width: int) -> np.ndarray:
    return coco_mask.decode({"counts": rle.encode(), "size": [height, width]}).astype(bool)


def test_the_rows_are_the_samples_of_the_split_in_their_order(table: pd.DataFrame, datamodule: Any) -> None:
    records = datamodule.samples("test").records
    assert set(table) == set(PREDICTION_COLUMNS)
    assert list(table["sample_id"]) == [record.sample_id for record in records]
    for column in ("image", "expression", "category", "split", "tags"):
        assert list(table[column]) == [getattr(record, column) for record in records]
    assert set(table["dataset"]) == {"aeroscenes"}


def test_the_targets_are_the_datasets_masks(table: pd.DataFrame, datamodule: Any) -> None:
    samples = datamodule.samples("test")
    for row, record in zip(table.itertuples(), samples.records, strict=True):
        mask = samples.dataset.mask(record)
        assert (row.height, row.width) == mask.shape
        assert row.target_pixels == mask.sum()
        np.testing.assert_array_equal(mask_of(row.target_rle, row.height, row.width), mask)


def test_the_counts_are_those_of_the_masks(table: pd.DataFrame) -> None:
    for row in table.itertuples():
        target = mask_of(row.target_rle, row.height, row.width)
        prediction = mask_of(row.prediction_rle, row.height, row.width)
        assert row.native_I == (target & prediction).sum()
        assert row.native_U == (target | prediction).sum()


def test_the_table_gives_the_scores_of_the_run(table: pd.DataFrame, tiny_run: Path) -> None:
    scores = json.loads((tiny_run / "run.json").read_text())["scores"]
    for protocol, stage in (("network", "test"), ("native", "test_native")):
        expected = score(table[f"{protocol}_I"], table[f"{protocol}_U"]).as_dict()
        assert {name: scores[f"{stage}/{name}"] for name in expected} == expected
    assert scores["test/count"] == len(table)


def test_thumbnails_show_the_images(table: pd.DataFrame, tiny_run: Path, datamodule: Any) -> None:
    run, samples = Run(tiny_run), datamodule.samples("test")
    shown = {record.image: record for record in samples.records}
    for image in table["image"].unique():
        thumbnail = run.thumbnail(image)
        assert thumbnail is not None
        pixels = cv2.cvtColor(cv2.imread(str(thumbnail)), cv2.COLOR_BGR2RGB).astype(int)
        assert np.abs(pixels - samples.dataset.image(shown[image])).mean() < 12  # what JPEG loses


def test_thumbnails_are_spread_over_the_split(tmp_path: Path, datamodule: Any) -> None:
    samples = datamodule.samples("test")
    PredictionTable(tmp_path, thumbnails=2)._write_thumbnails(samples)
    names = sorted(int(path.stem) for path in (tmp_path / "images").iterdir())
    images = sorted({int(record.image) for record in samples.records})
    assert 2 <= len(names) <= 3
    assert names[0] == images[0]
    assert names[-1] > images[len(images) // 2 - 1]


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (64, 37)])
def test_run_lengths_come_back_as_the_mask(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    for share in (0.0, 0.3, 1.0):
        mask = rng.random(shape) < share
        np.testing.assert_array_equal(mask_of(encode_rle(mask), *shape), mask)


def test_one_process_gathers_its_own_rows() -> None:
    assert not torch.distributed.is_initialized()
    rows = [{"sample_id": "a"}, {"sample_id": "b"}]
    assert gather_rows(rows) == rows
    assert gather_rows(rows) is not rows
