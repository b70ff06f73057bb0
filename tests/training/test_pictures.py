"""The grid shows the samples that were validated, with what was asked and answered."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import lightning as L
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from sbanet.data.records import Batch, Record
from sbanet.drawing import FILL, GAP, PAPER
from sbanet.training.pictures import TILE, PredictedSample, PredictionPictures, predicted_samples, prediction_grid

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
SIZE = 32


def sample(shift: int = 0, expression: str = "the ship", grey: int = 100) -> PredictedSample:
    target = np.zeros((SIZE, SIZE), bool)
    target[8:16, 8:16] = True
    image = np.full((SIZE, SIZE, 3), grey, np.uint8)
    prediction = np.roll(target, shift, axis=1)
    return PredictedSample(image=image, target=target, prediction=prediction, expression=expression)


def record(number: int) -> Record:
    return Record(
        sample_id=str(number), image=str(number), instance=0, expression=f"the ship {number} 船", split="val",
        category="ship",
    )  # fmt: skip


def batch_of(colours: np.ndarray, first: int) -> Batch:
    """One image a colour, (B, 3) uint8; sample number n is meant at row n."""
    count = len(colours)
    normal = (colours / 255 - np.array(MEAN)) / np.array(STD)
    image = torch.from_numpy(normal).float()[:, :, None, None].expand(-1, -1, SIZE, SIZE)
    target = torch.zeros(count, SIZE, SIZE, dtype=torch.bool)
    for row in range(count):
        target[row, first + row] = True
    words = torch.ones(count, 2, dtype=torch.int64)
    return Batch(
        image=image, token_ids=words, token_mask=words.bool(), target=target,
        records=[record(first + row) for row in range(count)],
    )  # fmt: skip


def test_iou() -> None:
    assert sample(0).iou == 1.0
    assert sample(4).iou == pytest.approx(1 / 3)
    nothing = np.zeros((4, 4), bool)
    empty = PredictedSample(image=np.zeros((4, 4, 3), np.uint8), target=nothing, prediction=nothing, expression="")
    assert empty.iou == 0.0


def test_a_sample_shows_the_target_and_beside_it_the_prediction() -> None:
    grid = prediction_grid([sample(12)])
    assert grid.dtype == np.uint8
    assert grid.shape[1:] == (2 * TILE, 3)
    scale = TILE // SIZE
    asked, answered = grid[:TILE, :TILE], grid[:TILE, TILE:]
    assert (asked == 255).all(-1).any()
    assert (asked[10 * scale, 12 * scale] == 100).all(), "the target is outlined, not covered"
    assert not (answered == 255).all(-1).any()
    tint = (np.array(FILL) + 100) / 2
    np.testing.assert_allclose(answered[12 * scale, 24 * scale], tint, atol=1)
    assert (answered[12 * scale, 12 * scale] == 100).all()


@pytest.mark.parametrize(("count", "columns"), [(1, 3), (3, 2), (4, 2), (5, 1)])
def test_samples_stand_in_rows(count: int, columns: int) -> None:
    samples = [sample(grey=40 + 30 * number) for number in range(count)]
    grid = prediction_grid(samples, columns)
    across, down = min(columns, count), -(-count // columns)
    tile = prediction_grid(samples[:1])
    height, width = tile.shape[:2]
    assert grid.shape == (down * height + (down - 1) * GAP, across * width + (across - 1) * GAP, 3)
    for number in range(count):
        row, column = divmod(number, columns)
        top, left = row * (height + GAP), column * (width + GAP)
        assert grid[top, left].tolist() == [40 + 30 * number] * 3
        assert (grid[top, left + width : left + width + GAP] == PAPER).all(), "samples have a gap between them"


@pytest.mark.parametrize("text", ["the ship " * 60, "油罐左边的红色小车 \U0001f6a2", "", "x" * 400, "tab\tline\nend"])
def test_any_sentence_can_be_drawn(text: str) -> None:
    plain = prediction_grid([sample()])
    grid = prediction_grid([sample(expression=text), sample()])
    assert grid.shape[0] >= plain.shape[0]
    assert grid.shape[1] == 2 * plain.shape[1] + GAP


def test_images_of_different_shapes_stand_in_one_grid() -> None:
    wide = PredictedSample(
        image=np.zeros((20, 40, 3), np.uint8), target=np.zeros((20, 40), bool),
        prediction=np.zeros((20, 40), bool), expression="",
    )  # fmt: skip
    tall = PredictedSample(
        image=np.zeros((40, 20, 3), np.uint8), target=np.zeros((40, 20), bool),
        prediction=np.zeros((40, 20), bool), expression="",
    )  # fmt: skip
    assert prediction_grid([wide, tall], columns=1).shape[1] == 2 * TILE


def test_samples_that_share_an_image_are_all_shown() -> None:
    batch = batch_of(np.array([[250, 0, 0], [0, 250, 0], [0, 0, 250]]), 0)
    batch.image, batch.sentences = batch.image[[0, 2]], [2, 1]
    seen = predicted_samples(batch, torch.zeros(3, SIZE, SIZE), MEAN, STD, 3)
    assert [sample.image[0, 0].tolist() for sample in seen] == [[250, 0, 0], [250, 0, 0], [0, 0, 250]]


def test_no_samples() -> None:
    with pytest.raises(ValueError, match="got none"):
        prediction_grid([])


@pytest.mark.parametrize("name", ["count", "every_n_epochs", "columns"])
def test_numbers_below_one_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"callbacks\.pictures\.{name}: got 0"):
        PredictionPictures("pictures", **{name: 0})


class Scenes(L.LightningDataModule):
    """Three validation batches of two samples, all of one red, green and blue."""

    mean, std = MEAN, STD
    colour = (200, 100, 50)

    def train_dataloader(self) -> DataLoader:
        return DataLoader(torch.zeros(2, 1))

    def val_dataloader(self) -> DataLoader:
        batches = [batch_of(np.array([self.colour] * 2), 2 * number) for number in range(3)]
        return DataLoader(batches, batch_size=None)


class Perfect(L.LightningModule):
    """Answers with the target."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self.weight.square().sum()

    def validation_step(self, batch: Batch, batch_idx: int) -> Any:
        logits = (batch.target.float() - 0.5).to(torch.bfloat16)
        return SimpleNamespace(logits=logits, loss=logits.sum())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer(*callbacks: L.Callback, **options: Any) -> L.Trainer:
    return L.Trainer(
        accelerator="cpu", devices=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=list(callbacks), **options,
    )  # fmt: skip


def test_a_picture_of_every_second_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "pictures"
    callback = PredictionPictures(str(folder), count=3, every_n_epochs=2, columns=2)
    drawn: list[list[PredictedSample]] = []

    def spy(samples: list[PredictedSample], columns: int) -> np.ndarray:
        drawn.append(list(samples))
        return prediction_grid(samples, columns)

    monkeypatch.setattr("sbanet.training.pictures.prediction_grid", spy)
    fitting = trainer(callback, max_epochs=4, num_sanity_val_steps=2)
    fitting.fit(Perfect(), datamodule=Scenes())
    assert sorted(path.name for path in folder.iterdir()) == ["epoch_000.png", "epoch_002.png"]
    assert len(drawn) == 2
    for samples in drawn:
        assert [s.expression for s in samples] == [f"the ship {number} 船" for number in range(3)]
        assert [s.iou for s in samples] == [1.0] * 3
        assert [np.flatnonzero(s.target.any(1)).tolist() for s in samples] == [[0], [1], [2]]
        assert all((s.image == Scenes.colour).all() for s in samples)
    picture = cv2.imread(str(folder / "epoch_002.png"))
    np.testing.assert_array_equal(picture[..., ::-1], prediction_grid(drawn[1], 2))


def test_a_validation_outside_of_training_leaves_the_pictures_alone(tmp_path: Path) -> None:
    callback = PredictionPictures(str(tmp_path / "pictures"))
    trainer(callback).validate(Perfect(), datamodule=Scenes(), verbose=False)
    assert not (tmp_path / "pictures").exists()
