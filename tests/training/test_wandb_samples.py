"""The samples in W&B, read from what an offline run leaves on the disk."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import lightning as L
import numpy as np
import pytest
import torch
import wandb
from lightning.pytorch.loggers import CSVLogger, WandbLogger

from sbanet.training.pictures import PredictedSample, PredictionPictures
from sbanet.training.wandb_samples import log_samples
from tests.offline_wandb import history
from tests.tiny_run import Train

from .test_pictures import Perfect, Scenes

pytestmark = pytest.mark.usefixtures("process_settings")


@pytest.fixture(autouse=True)
def closed_runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Offline, and no run left open for the next test."""
    monkeypatch.setenv("WANDB_MODE", "offline")  # the logger sets it as well
    yield
    wandb.finish()


def trained(folder: Path, *, epochs: int = 2, count: int = 3, **options: Any) -> list[PredictedSample]:
    """A training whose pictures go to W&B; returns the samples of the last validation."""
    callback = PredictionPictures(str(folder / "pictures"), count=count)
    trainer = L.Trainer(
        accelerator="cpu", devices=1, enable_checkpointing=False, enable_progress_bar=False, max_epochs=epochs,
        enable_model_summary=False, callbacks=[callback], log_every_n_steps=1,
        logger=WandbLogger(save_dir=folder, project="tests", offline=True, **options),
    )  # fmt: skip
    trainer.fit(Scored(), datamodule=Scenes())
    wandb.finish()
    return callback._samples


class Scored(Perfect):
    """Logs a score, too; its answer is the target and the row below it."""

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        outputs = super().validation_step(batch, batch_idx)
        self.log("val/mIoU", torch.tensor(0.5), batch_size=len(batch))
        outputs.logits = (batch.target | batch.target.roll(1, 1)).float() - 0.5
        return outputs


def test_an_offline_run_has_pixels_masks_and_sentences(tmp_path: Path) -> None:
    samples = trained(tmp_path)
    assert len(samples) == 3
    [files] = tmp_path.rglob("offline-run-*/files")
    rows = [row for row in history(tmp_path) if "val/samples" in row]
    assert len(rows) == 2
    shown = rows[-1]["val/samples"]
    assert shown["captions"] == [f"IoU 0.50: the ship {number} 船" for number in range(3)]
    assert [set(layers) for layers in shown["all_masks"]] == [{"target", "prediction"}] * 3
    for number, sample in enumerate(samples):
        picture = cv2.imread(str(files / shown["filenames"][number]))[..., ::-1]
        np.testing.assert_array_equal(picture, sample.image)
        assert picture[0, 0].tolist() == list(Scenes.colour)
        for name in ("target", "prediction"):
            mask = cv2.imread(str(files / shown["all_masks"][number][name]["path"]), cv2.IMREAD_UNCHANGED)
            np.testing.assert_array_equal(mask.reshape(*mask.shape[:2], -1)[..., 0], getattr(sample, name))


def test_they_stand_where_the_scores_of_the_same_validation_stand(tmp_path: Path) -> None:
    trained(tmp_path, epochs=3)
    rows = history(tmp_path)
    places = {key: [row["trainer/global_step"] for row in rows if key in row] for key in ("val/samples", "val/mIoU")}
    assert places["val/samples"] == places["val/mIoU"] == [1, 3, 5]


def test_a_disabled_run_takes_them_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert trained(tmp_path, epochs=1, mode="disabled")
    assert (tmp_path / "pictures" / "epoch_000.png").is_file()
    assert "pictures" not in caplog.text
    assert not list(tmp_path.rglob("*.wandb"))


def test_a_failure_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(wandb, "Image", full)
    caplog.set_level(logging.WARNING, "sbanet")
    trained(tmp_path, epochs=1)
    assert "W&B did not take the pictures of step 1 (OSError: no space left)" in caplog.text
    assert (tmp_path / "pictures" / "epoch_000.png").is_file()


def test_other_loggers_and_other_ranks_are_left_alone(
    tmp_path: Path, second_rank: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(wandb, "init", lambda **_: pytest.fail("a second rank opened a run"))
    nothing = np.zeros((4, 4), bool)
    sample = PredictedSample(
        image=np.zeros((4, 4, 3), np.uint8), target=nothing, prediction=nothing, expression="ship"
    )  # fmt: skip
    log_samples([WandbLogger(save_dir=tmp_path, offline=True)], [sample], step=0)
    log_samples([CSVLogger(tmp_path)], [sample], step=0)
    assert "pictures" not in caplog.text
    assert not list(tmp_path.iterdir())


def test_the_command_logs_them(train_tiny: Train, tmp_path: Path) -> None:
    train_tiny(tmp_path, "logger=wandb", "test=false", "trainer.max_epochs=1", "callbacks.pictures.count=2")
    wandb.finish()
    [row] = [row for row in history(tmp_path) if "val/samples" in row]
    assert row["val/samples"]["count"] == 2
    assert row["val/samples"]["width"] == 64
    assert row["trainer/global_step"] == 7
