"""A run that is stopped, killed or damaged, and started again, ends with the numbers it would have had."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from sbanet.errors import ConfigError
from sbanet.inference import read_checkpoint
from sbanet.training.module import ReferringSegmentation
from tests import killing
from tests.tiny_run import TINY, Train

from .conftest import disk_of

ANYWHERE = (
    "callbacks.best.every_minutes=1e-9",
    "callbacks.best.agree_every_n_steps=1",  # a checkpoint before each step
    "callbacks.pictures=null",
    "data.num_workers=0",
)


def same_course(folder: Path, whole: Path) -> None:
    """Compare two runs by all that they left: weights, optimiser, schedule, curves, scores."""
    for name in ("last", "best"):
        one, other = (killing.state(run / "checkpoints" / f"{name}.ckpt") for run in (folder, whole))
        assert one == other, name
    assert (folder / "metrics.csv").read_text() == (whole / "metrics.csv").read_text()
    assert facts(folder)["scores"] == facts(whole)["scores"]


def facts(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text())


def stopping_at(monkeypatch: pytest.MonkeyPatch, step: int, stop: Any) -> None:
    """Call `stop` when the training comes to a step, once."""
    whole = ReferringSegmentation.training_step

    def stopped(task: ReferringSegmentation, *arguments: Any) -> Any:
        if task.global_step == step:
            monkeypatch.setattr(ReferringSegmentation, "training_step", whole)
            stop()
        return whole(task, *arguments)

    monkeypatch.setattr(ReferringSegmentation, "training_step", stopped)


def failing() -> None:
    raise RuntimeError("no memory")


CASES = {
    "validation in mid-epoch": ("trainer.val_check_interval=3", "trainer.log_every_n_steps=2"),
    "accumulation, loader processes": (
        "trainer.accumulate_grad_batches=2", "trainer.val_check_interval=6", "data.num_workers=2",
    ),
    "average of the weights, small pictures first": ("callbacks=[default,ema,progressive]", "callbacks.progress=null"),
    "an epoch without validation": ("trainer.check_val_every_n_epoch=2", "trainer.max_epochs=3"),
    "validation across epochs": ("trainer.check_val_every_n_epoch=null", "trainer.val_check_interval=5"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("steps", [(3, 7, 13), (8, 9)])
@pytest.mark.parametrize("case", CASES)
def test_a_stopped_run_takes_the_same_course(
    case: str, steps: tuple[int, ...], train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [*ANYWHERE, *CASES[case]]
    train_tiny(tmp_path / "whole" / "default", *overrides)
    for step in steps:
        stopping_at(monkeypatch, step, failing)
        with pytest.raises(RuntimeError, match="no memory"):
            train_tiny(tmp_path / "stopped" / "default", *overrides)
    train_tiny(tmp_path / "stopped" / "default", *overrides)
    same_course(tmp_path / "stopped" / "default", tmp_path / "whole" / "default")


@pytest.mark.parametrize(
    "ending",
    [
        ("trainer.max_epochs=2",),
        ("trainer.max_epochs=-1", "trainer.max_steps=10", "trainer.check_val_every_n_epoch=null",
         "trainer.val_check_interval=5"),
        ("trainer.max_epochs=2", "trainer.val_check_interval=3"),
    ],
    ids=["epochs", "steps, with a validation at the last", "a validation before the last"],
)  # fmt: skip
def test_a_run_stopped_in_its_test_logs_it_where_the_training_ended(
    ending: tuple[str, ...], train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_tiny(tmp_path / "whole" / "default", *ending)
    with monkeypatch.context() as patch:
        patch.setattr(ReferringSegmentation, "test_step", lambda *_: failing())
        with pytest.raises(RuntimeError, match="no memory"):
            train_tiny(tmp_path / "stopped" / "default", *ending)
    train_tiny(tmp_path / "stopped" / "default", *ending)
    same_course(tmp_path / "stopped" / "default", tmp_path / "whole" / "default")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2"])
def test_a_signal_saves_before_the_next_step_and_asks_to_be_run_again(
    name: str, train_tiny: Train, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "default"
    overrides = ["callbacks.best.every_minutes=null"]
    stopping_at(monkeypatch, 4, lambda: os.kill(os.getpid(), signal.Signals[name]))
    with pytest.raises(SystemExit) as stopped:
        train_tiny(folder, *overrides)
    assert stopped.value.code == 75
    assert facts(folder)["status"] == "interrupted"
    assert torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 5
    if name == "SIGTERM":
        train_tiny(folder, *overrides)
        same_course(folder, tiny_run)


def test_a_damaged_last_checkpoint_falls_back_to_the_one_before(
    train_tiny: Train, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "default"
    stopping_at(monkeypatch, 5, failing)
    with pytest.raises(RuntimeError):
        train_tiny(folder, "callbacks.best.every_minutes=1e-9")
    last = folder / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:-1000])
    stopping_at(monkeypatch, 3, failing)  # it does not come there
    train_tiny(folder)
    [warning] = [record.getMessage() for record in caplog.records if "is no checkpoint" in record.getMessage()]
    assert "last.ckpt: is no checkpoint, or a damaged one; going on from previous.ckpt" in warning
    assert (folder / "checkpoints" / "damaged.ckpt").is_file()
    same_course(folder, tiny_run)


def test_the_middle_of_an_epoch_cannot_be_cut_otherwise(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping_at(monkeypatch, 5, failing)
    with pytest.raises(RuntimeError):
        train_tiny(tmp_path, *ANYWHERE)
    with pytest.raises(ConfigError, match=r"middle of an epoch, which trainer\.accumulate_grad_batches 1 -> 2"):
        train_tiny(tmp_path, *ANYWHERE, "trainer.accumulate_grad_batches=2", "resume=force")


def test_an_epoch_that_has_not_begun_can_be_cut_otherwise(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [*ANYWHERE, "trainer.check_val_every_n_epoch=2"]
    stopping_at(monkeypatch, 8, failing)
    with pytest.raises(RuntimeError):
        train_tiny(tmp_path, *overrides)
    assert read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["global_step"] == 8
    train_tiny(tmp_path, *overrides, "trainer.accumulate_grad_batches=2", "resume=force")
    assert read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["global_step"] == 16


def test_validation_between_the_parts_of_a_step_is_refused(train_tiny: Train, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"every 3 batches falls .* choose a multiple of .*accumulate_grad_batches=2"):
        train_tiny(tmp_path, "trainer.val_check_interval=0.2", "trainer.accumulate_grad_batches=2")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a filesystem of 8 MB: of a run, the first checkpoints fit."""
    with disk_of("8m", tmp_path / "disk") as folder:
        yield folder


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_leaves_what_was_written(
    small_disk: Path, scene_cache: Path, tmp_path: Path
) -> None:
    command = [*TINY, *ANYWHERE, f"paths.cache={scene_cache}", f"hydra.run.dir={small_disk / 'run'}"]
    full = killing.train(*command)
    assert full.returncode == 2, full.stdout
    [line] = [line for line in full.stdout.splitlines() if line.startswith("error:")]
    assert "last.ckpt: No space left on device; what was written before is whole: make room" in line
    assert "Traceback" not in full.stdout
    checkpoints = small_disk / "run" / "checkpoints"
    assert read_checkpoint(checkpoints / "last.ckpt")["global_step"] >= 1
    assert not list(checkpoints.glob(".*"))


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_to_is_one_line(small_disk: Path, scene_cache: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    refused = killing.train(*TINY, f"paths.cache={scene_cache}", f"hydra.run.dir={small_disk / 'run'}")
    assert refused.returncode == 2, refused.stdout
    [line] = [line for line in refused.stdout.splitlines() if line.startswith("error:")]
    assert "Read-only file system" in line
    assert "Traceback" not in refused.stdout


def killed(folder: Path, cache: Path, overrides: list[str], kills: list[str]) -> None:
    """Kill a run again and again, let it end, and compare it with one that was left alone.

    A kill is what `killing` takes, and further overrides of the start that it ends.
    """
    command = [*TINY, *ANYWHERE, f"paths.cache={cache}", *overrides]
    done = killing.train(*command, f"paths.runs={folder / 'whole'}")
    assert done.returncode == 0, done.stdout
    for kill, *more in [kill.split() for kill in kills] + [[""]]:
        done = killing.train(*command, *more, f"paths.runs={folder / 'killed'}", kill=kill)
        assert (done.returncode == 0) == (not kill), f"{kill}: {done.returncode}\n{done.stdout}"
    runs = [next((folder / name).rglob("run.json")).parent for name in ("killed", "whole")]
    assert not list(runs[0].rglob("*.tmp"))  # a checkpoint of which a part was written
    same_course(*runs)


RANKS = {1: (), 2: ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ranks", "kills"),
    [
        (1, ["step:5:0", "writing:3:0", "validation:1:0"]),
        (2, ["step:6:1", "writing:3:0", "validation:1:all"]),
    ],
)
def test_a_killed_run_takes_the_same_course(ranks: int, kills: list[str], scene_cache: Path, tmp_path: Path) -> None:
    killed(tmp_path, scene_cache, [*RANKS[ranks], "trainer.val_check_interval=4"], kills)


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_another_number_of_ranks_goes_on_with_the_same_samples(
    before: int, after: int, scene_cache: Path, tmp_path: Path
) -> None:
    # with the trainer of both, so that batch norms and matrix products stay as they were
    command = [
        *TINY,
        *RANKS[2],
        *ANYWHERE,
        f"paths.cache={scene_cache}",
        f"hydra.run.dir={tmp_path / 'run'}",
        "test=false",
    ]
    one, other = (f"trainer.devices={ranks}" for ranks in (before, after))
    stopped = killing.train(*command, one, kill="step:6:0", seen=str(tmp_path / "before"))
    assert stopped.returncode != 0, stopped.stdout
    done = killing.train(*command, other, seen=str(tmp_path / "after"))
    assert done.returncode == 0, done.stdout
    first, second = (killing.samples_by_step(tmp_path / name) for name in ("before", "after"))
    assert (set(first), set(second)) == (set(range(6)), set(range(5, 16)))
    assert first[5] <= second[5]  # what one rank died of, before the other began perhaps
    epochs = [[samples for step, samples in (first | second).items() if step // 8 == epoch] for epoch in (0, 1)]
    for steps in epochs:  # each sample of 8 scenes once, in whole batches of 4: nothing twice, nothing left out
        assert [len(samples) for samples in steps] == [4] * 8
        assert len(set.union(*steps)) == 32


@pytest.mark.slow
def test_ranks_stop_together_whichever_hears_of_it(scene_cache: Path, tmp_path: Path) -> None:
    every = "callbacks.best.agree_every_n_steps=3"
    command = [*TINY, *RANKS[2], every, f"paths.cache={scene_cache}", f"hydra.run.dir={tmp_path / 'run'}"]
    stopped = killing.train(*command, kill="stop:5:1")
    assert stopped.returncode == 75, stopped.stdout
    assert facts(tmp_path / "run")["status"] == "interrupted"
    assert read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")["global_step"] == 6


@pytest.mark.kill
@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("ranks", [1, 2])
def test_kills_at_random_moments_change_nothing(
    ranks: int, workers: int, accumulate: int, scene_cache: Path, tmp_path: Path
) -> None:
    dice = random.Random(f"{ranks} {workers} {accumulate}")
    kills = []
    for _ in range(10):
        often = dice.random() < 0.5  # a checkpoint before each step, else at validations, four steps apart
        moment = dice.choice(["step", "step", "writing", "renaming", "logging", "validation", "validation"])
        most = {"step": 4 * accumulate, "writing": 4 if often else 1, "renaming": 4 if often else 1}.get(moment, 4)
        # the one rank that writes is the first
        rank = dice.choice(["0", "1", "all"][: 2 * ranks - 1]) if moment in ("step", "validation") else "0"
        every = "" if often else " callbacks.best.every_minutes=null"
        kills.append(f"{moment}:{dice.randint(1, most)}:{rank}{every}")
    kills.append("test:1:0")
    overrides = [
        *RANKS[ranks], f"data.num_workers={workers}", f"trainer.accumulate_grad_batches={accumulate}",
        f"trainer.val_check_interval={4 * accumulate}", "trainer.max_epochs=3", "data.scenes_per_split.train=16",
        f"data.scenes_per_split.val={ranks * 4}",
    ]  # fmt: skip
    killed(tmp_path, scene_cache, overrides, kills)
