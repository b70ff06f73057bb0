"""Checkpoints are whole or not there, and their paths follow the folder."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.precision import MixedPrecision

from sbanet.config import compose
from sbanet.training.checkpoints import RunCheckpoints, WholeCheckpoints
from sbanet.training.trainer import build_trainer


class Unsaveable:
    def __reduce__(self) -> Any:
        raise RuntimeError("the job was killed")


def test_a_checkpoint_replaces_the_one_before_it(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "last.ckpt"
    for number in (1, 2):
        WholeCheckpoints().save_checkpoint({"step": number, "weights": torch.ones(3)}, path)
    assert WholeCheckpoints().load_checkpoint(path, weights_only=True)["step"] == 2
    assert {file.name: torch.load(file, weights_only=True)["step"] for file in path.parent.iterdir()} == {
        "last.ckpt": 2,
        "previous.ckpt": 1,
    }


def test_one_that_cannot_be_finished_leaves_the_old(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    WholeCheckpoints().save_checkpoint({"step": 1}, path)
    with pytest.raises(RuntimeError, match="killed"):
        WholeCheckpoints().save_checkpoint({"weights": torch.ones(1000), "step": Unsaveable()}, path)
    assert torch.load(path, weights_only=True) == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


def test_the_trainer_writes_so() -> None:
    trainer = build_trainer(compose("train").trainer, callbacks=[], logger=False)
    assert isinstance(trainer.strategy.checkpoint_io, WholeCheckpoints)


@pytest.mark.parametrize("now", ["/old/run", "/new/place/run", "/old/run2"])
def test_the_best_is_known_wherever_the_folder_lies(now: str) -> None:
    before = ModelCheckpoint("/old/run", monitor="val/mIoU", mode="max", save_last=True)
    before.best_model_path = before.kth_best_model_path = "/old/run/best.ckpt"
    before.last_model_path = "/old/run/last.ckpt"
    before.best_k_models = {"/old/run/best.ckpt": torch.tensor(0.4)}
    before.best_model_score = before.kth_value = torch.tensor(0.4)
    after = RunCheckpoints(now, monitor="val/mIoU", mode="max", save_last=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        after.load_state_dict(before.state_dict())
    assert after.best_model_path == after.kth_best_model_path == f"{now}/best.ckpt"
    assert after.last_model_path == f"{now}/last.ckpt"
    assert after.best_k_models == {f"{now}/best.ckpt": torch.tensor(0.4)}
    assert after.best_model_score == after.kth_value == torch.tensor(0.4)


class Worse(L.LightningModule):
    """Learns one number; each validation is worse than the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.score = 0.0

    def training_step(self, batch: torch.Tensor, _: int) -> torch.Tensor:
        return self.layer(batch).sum()

    def validation_step(self, batch: torch.Tensor, _: int) -> None: ...

    def on_validation_epoch_end(self) -> None:
        self.score -= 1
        self.log("val/mIoU", self.score)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trained(folder: Path, steps: int, ckpt_path: Path | None = None, **options: Any) -> L.Trainer:
    keep = RunCheckpoints(
        folder, filename="best", monitor="val/mIoU", mode="max", save_last=True, enable_version_counter=False
    )
    batches = torch.utils.data.DataLoader(torch.ones(10, 1))  # type: ignore[arg-type]
    trainer = L.Trainer(
        callbacks=[keep], max_steps=steps, val_check_interval=3, logger=False, accelerator="cpu",
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, **options,
    )  # fmt: skip
    trainer.fit(Worse(), batches, batches, ckpt_path=ckpt_path, weights_only=True)
    return trainer


@pytest.mark.parametrize(("steps", "last"), [(6, 6), (7, 7)])
def test_the_last_is_written_though_it_is_not_the_best(
    tmp_path: Path, steps: int, last: int, caplog: pytest.LogCaptureFixture
) -> None:
    trained(tmp_path, steps)
    found = {file.name: torch.load(file, weights_only=True)["global_step"] for file in tmp_path.iterdir()}
    assert found == {"best.ckpt": 3, "last.ckpt": last}
    assert ("the last validation was at step 6 of 7, so that the best checkpoint is no later" in caplog.text) == (
        last == 7
    )


def test_the_scale_of_float16_gradients_goes_on(tmp_path: Path) -> None:
    def scaled(steps: int, ckpt_path: Path | None = None) -> dict[str, Any]:
        scaler = torch.amp.GradScaler("cpu", init_scale=64.0, growth_interval=2)
        float16 = MixedPrecision("16-mixed", "cpu", scaler=scaler)
        trained(tmp_path / "now", steps, ckpt_path, plugins=[WholeCheckpoints(), float16])
        return scaler.state_dict()

    whole = scaled(6)
    assert (whole["scale"], whole["_growth_tracker"]) == (512.0, 0)
    shutil.rmtree(tmp_path / "now")
    assert (scaled(3)["scale"], scaled(6, tmp_path / "now" / "last.ckpt")) == (128.0, whole)
