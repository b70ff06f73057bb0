"""`metrics.csv` holds every logged number, once, whatever happened to the run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Sampler, TensorDataset

from sbanet.analysis.runs import Run
from sbanet.errors import ConfigError
from sbanet.training.csv_logger import MetricsCSV


@pytest.fixture
def logger(tmp_path: Path) -> MetricsCSV:
    return MetricsCSV(str(tmp_path / "run"))


def lines(logger: MetricsCSV) -> list[str]:
    return logger.path.read_text(encoding="utf-8").split("\n")


def test_a_row_a_call_and_columns_as_they_come(logger: MetricsCSV) -> None:
    logger.log_metrics({"epoch": 0, "train/loss": 0.5}, step=9)
    logger.log_metrics({"epoch": 0, "train/loss": 0.25}, step=19)
    logger.log_metrics({"val/mIoU": 0.125, "epoch": 0, "a, b": 1}, step=19)
    logger.log_metrics({"optim/lr": 1e-3, "step": 29})
    assert lines(logger) == [
        'epoch,step,train/loss,val/mIoU,"a, b",optim/lr',
        "0,9,0.5,,,",
        "0,19,0.25,,,",
        "0,19,,0.125,1.0,",
        ",29,,,,0.001",
        "",
    ]


def test_numbers_come_back_exactly(logger: MetricsCSV) -> None:
    values = [0.1, 1 / 3, math.pi * 1e-30, 1e300, float(np.float32(0.1)), float("inf"), -0.0]
    for step, value in enumerate(values):
        logger.log_metrics({"epoch": 0, "x": value}, step)
    assert Run(logger.path.parent).curve("x").tolist() == values
    logger.log_metrics({"x": float("nan"), "y": torch.tensor(0.1)}, 9)
    assert lines(logger)[-2] == f",9,nan,{float(torch.tensor(0.1))!r}"


def test_another_start_goes_on_in_the_file(logger: MetricsCSV) -> None:
    logger.log_metrics({"epoch": 0, "b": 1, "a": 2}, 0)
    again = MetricsCSV(logger.save_dir)
    again.log_metrics({"epoch": 0, "a": 3}, 1)
    again.log_metrics({"epoch": 0, "c": 4}, 2)
    assert lines(logger) == ["epoch,step,b,a,c", "0,0,1.0,2.0,", "0,1,,3.0,", "0,2,,,4.0", ""]


@pytest.mark.parametrize("part", ["0,1", '0,1,"', "0,1,2.0"])
def test_a_line_that_was_cut_off_is_dropped(logger: MetricsCSV, part: str) -> None:
    logger.log_metrics({"epoch": 0, "a": 1}, 0)
    with logger.path.open("a") as file:
        file.write(part)
    MetricsCSV(logger.save_dir).log_metrics({"epoch": 0, "a": 3}, 1)
    assert lines(logger) == ["epoch,step,a", "0,0,1.0", "0,1,3.0", ""]


@pytest.mark.parametrize("content", ["", "epo", "epoch,step,a"])
def test_a_file_without_a_row_is_begun_anew(logger: MetricsCSV, content: str) -> None:
    logger.path.parent.mkdir()
    logger.path.write_text(content)
    logger.log_metrics({"epoch": 0, "b": 3}, 1)
    assert lines(logger) == ["epoch,step,b", "0,1,3.0", ""]


def test_a_file_of_another_program_is_left_alone(logger: MetricsCSV) -> None:
    logger.path.parent.mkdir()
    logger.path.write_text("time,loss\n1,2\n")
    for act in (lambda: logger.log_metrics({"a": 1}, 1), lambda: logger.cut_back(3)):
        with pytest.raises(ConfigError, match=r"metrics\.csv: got columns time, loss, expected epoch, step"):
            act()
    assert logger.path.read_text() == "time,loss\n1,2\n"


def test_cutting_back_leaves_the_file_as_it_was_then(logger: MetricsCSV) -> None:
    logger.log_metrics({"epoch": 0, "a": 1}, 9)
    logger.log_metrics({"epoch": 0, "b": 1}, 9)
    then = logger.path.read_bytes()
    logger.log_metrics({"epoch": 0, "a": 2}, 19)
    logger.log_metrics({"epoch": 0, "late": 2}, 19)
    later = logger.path.read_bytes()
    again = MetricsCSV(logger.save_dir)
    again.cut_back(19)
    assert logger.path.read_bytes() == later
    again.cut_back(18)
    assert logger.path.read_bytes() == then
    again.log_metrics({"epoch": 0, "a": 2}, 19)
    again.log_metrics({"epoch": 0, "late": 2}, 19)
    assert logger.path.read_bytes() == later
    logger.cut_back(-1)
    assert lines(logger) == ["epoch,step", ""]
    again = MetricsCSV(logger.save_dir)
    again.log_metrics({"epoch": 0, "a": 1}, 9)
    assert lines(logger) == ["epoch,step,a", "0,9,1.0", ""]


def test_cutting_back_a_run_that_logged_nothing(logger: MetricsCSV) -> None:
    logger.cut_back(5)
    assert not logger.path.exists()


def test_only_the_first_rank_writes(logger: MetricsCSV, second_rank: None) -> None:
    logger.log_metrics({"a": 1}, 1)
    logger.log_hyperparams({})
    assert not logger.path.parent.exists()
    logger.path.parent.mkdir()
    logger.path.write_text("epoch,step,a\n0,5,1.0\n")
    logger.cut_back(-1)
    assert lines(logger) == ["epoch,step,a", "0,5,1.0", ""]


class Line(L.LightningModule):
    """The smallest thing that learns, with a validation twice an epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def on_train_start(self) -> None:
        self.logger.cut_back(self.global_step - 1)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        loss = (self.layer(batch[0]) - batch[1]).pow(2).mean()
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val/error", (self.layer(batch[0]) - batch[1]).abs().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.01)


class InTheirOrder(Sampler[int]):
    """The samples from where the epoch stands, as a loader for exact resuming deals them."""

    def __init__(self, count: int, batch_size: int) -> None:
        self.count, self.batch_size = count, batch_size
        self.trainer: L.Trainer

    def __iter__(self) -> Iterator[int]:
        done = self.trainer.fit_loop.epoch_loop.batch_progress.current.ready
        return iter(range(done * self.batch_size, self.count))

    def __len__(self) -> int:
        return self.count


class Killed(L.Callback):
    """Ends the run at the start of a batch."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            raise RuntimeError("killed")


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_a_resumed_run_has_the_curves_of_one_that_was_never_stopped(tmp_path: Path, one_thread: None) -> None:
    x = torch.linspace(-1, 1, 24)[:, None]
    samples, sampler = TensorDataset(x, 3 * x + 1), InTheirOrder(24, 2)
    data = DataLoader(samples, batch_size=2, sampler=sampler)

    def fit(folder: Path, *callbacks: L.Callback, ckpt_path: Path | None = None) -> str:
        L.seed_everything(1, verbose=False)
        saver = L.pytorch.callbacks.ModelCheckpoint(folder, save_last=True, every_n_train_steps=4)
        trainer = L.Trainer(
            accelerator="cpu", devices=1, max_epochs=2, val_check_interval=6, log_every_n_steps=1,
            logger=MetricsCSV(str(folder)), callbacks=[saver, *callbacks], num_sanity_val_steps=0,
            enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        sampler.trainer = trainer
        trainer.fit(Line(), data, DataLoader(samples, batch_size=2), ckpt_path=ckpt_path)
        return (folder / "metrics.csv").read_text()

    whole = fit(tmp_path / "whole")
    assert [line.split(",")[1] for line in whole.split("\n")[1:8]] == ["0", "1", "2", "3", "4", "5", "5"]
    stopped = tmp_path / "stopped"
    with pytest.raises(RuntimeError, match="killed"):
        fit(stopped, Killed(19))
    before = (stopped / "metrics.csv").read_text()
    assert whole.startswith(before)
    assert ",18," in before
    assert fit(stopped, ckpt_path=stopped / "last.ckpt") == whole
