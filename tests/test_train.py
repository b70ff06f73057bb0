"""A run: reproducible, continued where it stopped, honest about how it ended."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from sbanet.config import compose
from sbanet.errors import ConfigError
from sbanet.train import main
from sbanet.training.module import ReferringSegmentation

from .tiny_run import TINY, Train

PARTS = ("checkpoints/best.ckpt", "checkpoints/last.ckpt", "metrics.csv", "pictures/epoch_001.png",
         "predictions/test.parquet", "run.json")  # fmt: skip


def facts(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text(encoding="utf-8"))


def weights(folder: Path, name: str = "last") -> dict[str, torch.Tensor]:
    state = torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]
    return {key: value for key, value in state.items() if isinstance(value, torch.Tensor)}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.fixture
def run_copy(tiny_run: Path, tmp_path: Path) -> Path:
    """The finished run elsewhere, to be changed."""
    return Path(shutil.copytree(tiny_run, tmp_path / "tiny" / "default"))


def stopping_at_epoch_1(error: BaseException) -> Callable[[ReferringSegmentation], None]:
    def on_train_epoch_start(task: ReferringSegmentation) -> None:
        if task.current_epoch == 1:
            raise error

    return on_train_epoch_start


def test_a_finished_run_is_complete(tiny_run: Path) -> None:
    assert [part for part in PARTS if not (tiny_run / part).is_file()] == []
    noted = facts(tiny_run)
    assert (noted["status"], noted["seed"], noted["experiment"]) == ("finished", 1, "default")
    assert noted["parameters"] > 1e5
    assert noted["multiply_adds"] > 1e6
    assert set(noted["dataset"]["fingerprint"]) == {"train", "val", "test"}
    assert noted["config"]["data"]["image_size"] == 64
    assert {"val/mIoU", "best/val/mIoU", "test/mIoU", "test_native/Pr@0.9"} <= noted["scores"].keys()


def test_the_curves_have_every_step_and_every_epoch(tiny_run: Path) -> None:
    curves = pd.read_csv(tiny_run / "metrics.csv")
    steps = curves.dropna(subset=["train/loss"])
    assert list(steps["step"]) == list(range(16))
    assert list(steps["epoch"]) == [0] * 8 + [1] * 8
    assert list(curves["val/mIoU"].dropna().index.map(curves["step"])) == [7, 15]
    assert (steps["train/loss"] - steps["train/bce"] - steps["train/dice"]).abs().max() < 1e-5
    assert facts(tiny_run)["scores"]["best/val/mIoU"] == pytest.approx(curves["val/mIoU"].max())


def test_the_best_checkpoint_is_plain_and_says_what_it_is(tiny_run: Path) -> None:
    checkpoint = torch.load(tiny_run / "checkpoints" / "best.ckpt", weights_only=True)
    assert checkpoint["sbanet"]["schema"] == 2
    assert checkpoint["sbanet"]["config"] == facts(tiny_run)["config"]


def test_the_same_seed_gives_the_same_run(tiny_run: Path, train_tiny: Train, tmp_path: Path) -> None:
    torch.rand(7)  # the state of the process does not matter
    scores = train_tiny(tmp_path / "again")
    assert scores == facts(tiny_run)["scores"]
    assert (tmp_path / "again" / "metrics.csv").read_bytes() == (tiny_run / "metrics.csv").read_bytes()
    assert same(weights(tmp_path / "again"), weights(tiny_run))
    first, second = (pd.read_parquet(run / "predictions/test.parquet") for run in (tiny_run, tmp_path / "again"))
    pd.testing.assert_frame_equal(first, second)


def test_another_seed_gives_another_run(tiny_run: Path, train_tiny: Train, tmp_path: Path) -> None:
    train_tiny(tmp_path, "seed=2", "test=false")
    assert not same(weights(tmp_path), weights(tiny_run))
    losses = [pd.read_csv(run / "metrics.csv")["train/loss"].dropna() for run in (tmp_path, tiny_run)]
    assert (losses[0] != losses[1]).all()
    assert not any(name.startswith("test") for name in facts(tmp_path)["scores"])


def test_a_finished_run_is_left_as_it_is(tiny_run: Path, run_copy: Path, train_tiny: Train) -> None:
    before = {path: path.read_bytes() for path in run_copy.rglob("*") if path.is_file()}
    scores = train_tiny(run_copy)
    assert scores == facts(tiny_run)["scores"]
    assert {path: path.read_bytes() for path in run_copy.rglob("*") if path.is_file()} == before


def test_a_changed_config_is_refused_by_its_keys(run_copy: Path, train_tiny: Train) -> None:
    with pytest.raises(ConfigError, match=r"optim\.lr 0\.001 -> 0\.002") as refusal:
        train_tiny(run_copy, "optim.lr=0.002")
    assert "\n" not in str(refusal.value)
    assert "resume=force" in str(refusal.value)
    assert facts(run_copy)["status"] == "finished"


def test_a_change_can_be_forced_in_a_run_that_was_moved(tiny_run: Path, run_copy: Path, train_tiny: Train) -> None:
    before = facts(run_copy)["scores"]["best/val/mIoU"]
    scores = train_tiny(run_copy, "trainer.max_epochs=3", "resume=force")
    assert list(pd.read_csv(run_copy / "metrics.csv").dropna(subset=["train/loss"])["step"]) == list(range(24))
    assert facts(run_copy)["config"]["trainer"]["max_epochs"] == 3
    assert facts(run_copy)["starts"][1]["changed"] == {"trainer.max_epochs": ["2", "3"]}
    # the best so far is known in the new place
    assert scores["best/val/mIoU"] >= before
    state = torch.load(run_copy / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"]
    [checkpoints] = [values for name, values in state.items() if "RunCheckpoints" in name]
    assert str(tiny_run) not in str(checkpoints)
    assert checkpoints["best_model_path"] == str(run_copy / "checkpoints" / "best.ckpt")


def test_a_run_can_be_trained_anew(run_copy: Path, train_tiny: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(task: ReferringSegmentation) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ReferringSegmentation, "on_train_epoch_start", killed)
        with pytest.raises(SystemExit):
            train_tiny(run_copy, "resume=false", "trainer.max_epochs=1")
    train_tiny(run_copy, "trainer.max_epochs=1")  # goes on with the new run, not with the one before it
    assert list(pd.read_csv(run_copy / "metrics.csv")["step"].drop_duplicates()) == list(range(9))
    assert len(facts(run_copy)["starts"]) == 2


def test_a_run_that_failed_says_so_and_is_continued(
    tiny_run: Path, train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ReferringSegmentation, "on_train_epoch_start", stopping_at_epoch_1(RuntimeError("no memory")))
        with pytest.raises(RuntimeError, match="no memory"):
            train_tiny(tmp_path)
    noted = facts(tmp_path)
    assert (noted["status"], noted["error"]) == ("failed", "RuntimeError: no memory")
    assert noted["finished"] >= noted["started"]

    steps: list[int] = []
    whole = ReferringSegmentation.training_step

    def noted_step(task: ReferringSegmentation, *arguments: Any) -> Any:
        steps.append(task.global_step)
        return whole(task, *arguments)

    monkeypatch.setattr(ReferringSegmentation, "training_step", noted_step)
    scores = train_tiny(tmp_path)
    assert steps == list(range(8, 16))  # of the second epoch alone
    assert same(weights(tmp_path), weights(tiny_run))
    assert same(weights(tmp_path, "best"), weights(tiny_run, "best"))
    assert (tmp_path / "metrics.csv").read_bytes() == (tiny_run / "metrics.csv").read_bytes()
    assert scores == facts(tiny_run)["scores"]
    noted = facts(tmp_path)
    assert (noted["status"], len(noted["starts"]), "error" in noted) == ("finished", 2, False)


@pytest.mark.parametrize("signal", [KeyboardInterrupt(), SystemExit(143)])
def test_a_run_that_was_interrupted_says_so(
    signal: BaseException, train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReferringSegmentation, "on_train_epoch_start", stopping_at_epoch_1(signal))
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        train_tiny(tmp_path)
    assert facts(tmp_path)["status"] == "interrupted"
    assert (tmp_path / "checkpoints" / "last.ckpt").is_file()


def test_neither_callbacks_nor_loggers_are_needed(train_tiny: Train, tmp_path: Path) -> None:
    none = ["callbacks.best=null", "callbacks.pictures=null", "logger.csv=null"]
    scores = train_tiny(tmp_path, *none, "debug=fast", "model.decoder.num_outputs=2")
    assert "test/mIoU" in scores
    assert not (tmp_path / "metrics.csv").exists()
    assert not list(tmp_path.rglob("*.ckpt"))


def test_lightning_does_not_advertise(
    train_tiny: Train,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.INFO, "lightning.pytorch")
    train_tiny(tmp_path, "debug=fast", "test=false", "callbacks.pictures=null")
    assert "Trainer.fit" in caplog.text  # what it has to say is heard
    assert "Tip:" not in caplog.text
    assert [str(warning.message) for warning in recwarn if "LeafSpec" in str(warning.message)] == []
    assert "━" not in "".join(capfd.readouterr())  # a progress bar that the config does not have


def test_a_machine_without_a_gpu_is_one_clear_line(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"^trainer: .*; choose another one, as trainer=cpu$"):
        train_tiny(tmp_path, "trainer=gpu")
    assert not (tmp_path / "run.json").exists()


def command(
    *overrides: str, program: str = "from sbanet.train import main; main()"
) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PL_")}
    return subprocess.run(
        [sys.executable, "-c", program, *overrides], capture_output=True, text=True, env=environment, check=False
    )


def test_the_command_refuses_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        sys, "argv", ["sbanet-train", f"hydra.run.dir={tmp_path}", "data.batch_size=5", "trainer.devices=2"]
    )
    with pytest.raises(SystemExit) as exit_:
        main()
    error = capsys.readouterr().err
    assert exit_.value.code == 2
    assert error.count("\n") == 1
    assert error.startswith("error: data.batch_size: is 5")


@pytest.mark.slow
def test_the_same_command_continues_a_killed_run(tiny_run: Path, scene_cache: Path, tmp_path: Path) -> None:
    overrides = [*TINY, f"paths.cache={scene_cache}", f"paths.runs={tmp_path}"]
    killed = command(
        *overrides,
        program="""
import os
from sbanet.train import main
from sbanet.training.module import ReferringSegmentation
ReferringSegmentation.on_train_epoch_start = lambda task: os._exit(9) if task.current_epoch == 1 else None
main()
""",
    )
    assert killed.returncode == 9, killed.stderr
    [folder] = (path.parent for path in tmp_path.rglob("run.json"))
    assert facts(folder)["status"] == "running"
    continued = command(*overrides)
    assert continued.returncode == 0, continued.stderr
    assert "continuing" in continued.stdout + continued.stderr
    assert same(weights(folder), weights(tiny_run))
    assert (folder / "metrics.csv").read_bytes() == (tiny_run / "metrics.csv").read_bytes()
    assert facts(folder)["scores"] == facts(tiny_run)["scores"]

    forgotten = command(*overrides, f"hydra.run.dir={folder}", "optim.lr=0.002")
    assert forgotten.returncode == 2
    [line] = [line for line in forgotten.stderr.splitlines() if line.startswith("error:")]
    assert re.search(r"optim\.lr 0\.001 -> 0\.002", line)


GUARD = """
import os, socket
connect = socket.socket.connect
def noted(self, address):
    if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
        with open(os.environ["CALLED_HOME"], "a") as file:
            print(address, file=file)
        raise OSError("there is no network")
    return connect(self, address)
socket.socket.connect = noted
resolve = socket.getaddrinfo
def looked_up(host, *arguments, **options):
    if host not in (None, "127.0.0.1", "::1", "localhost"):
        with open(os.environ["CALLED_HOME"], "a") as file:
            print(host, file=file)
        raise socket.gaierror("there is no network")
    return resolve(host, *arguments, **options)
socket.getaddrinfo = looked_up
"""
"""A `sitecustomize` that notes, and refuses, what Python connects to on another machine.

The connections of W&B's own binary it cannot see.
"""


@pytest.mark.slow
def test_weights_and_biases_works_offline_and_nobody_phones_home(scene_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD)
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB", "NO_ALB", "HF_", "PL_"))}
    environment = bare | {
        "PYTHONPATH": str(tmp_path / "guard"),
        "CALLED_HOME": str(tmp_path / "calls"),
        "HOME": str(tmp_path / "home"),  # without the keys of the user
        "WANDB_SILENT": "true",
    }
    overrides = [*TINY, f"paths.cache={scene_cache}", f"hydra.run.dir={tmp_path / 'run'}", "debug=fast"]
    # the library of augmentations comes with the first of them
    augmentation = "data.augmentation=[{_target_: albumentations.RandomBrightnessContrast}]"
    done = subprocess.run(
        [sys.executable, "-m", "sbanet.train", *overrides, "logger=wandb", augmentation],
        capture_output=True,
        text=True,
        env=environment,
        stdin=subprocess.DEVNULL,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "calls").exists(), (tmp_path / "calls").read_text()
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb"))
    assert (tmp_path / "run" / "metrics.csv").is_file()
    assert "wandb sync" not in done.stdout


@pytest.mark.slow
def test_overfitting_drives_the_loss_down(train_tiny: Train, tmp_path: Path) -> None:
    train_tiny(
        tmp_path,
        "debug=overfit",
        "trainer.max_epochs=40",
        "trainer.check_val_every_n_epoch=40",
        "data.scenes_per_split.train=64",
        "optim.lr=3e-3",
        "test=false",
    )
    losses = pd.read_csv(tmp_path / "metrics.csv")["train/loss"].dropna()
    assert losses.tail(4).mean() < 0.6 * losses.head(4).mean()


def test_the_composed_run_is_sound(scene_cache: Path, tmp_path: Path) -> None:
    from sbanet.config import check

    assert check(compose("train", [*TINY, f"paths.run={tmp_path}"])) == []
