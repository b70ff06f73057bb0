"""A run in W&B, read from what its starts leave on the disk."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import wandb

from sbanet.errors import ConfigError
from sbanet.training.module import ReferringSegmentation
from sbanet.training.wandb_files import last_step, logs
from sbanet.training.wandb_logger import WandbRun, closing
from tests import killing
from tests.offline_wandb import exit_codes, history, runs, settled, summary
from tests.tiny_run import TINY, Train

from .conftest import disk_of

pytestmark = pytest.mark.usefixtures("process_settings")

FACTS: dict[str, Any] = {
    "unique_id": "abc123", "experiment": "modules", "changes": "model/alignment=pwam seed=2", "git_commit": "c0ffee",
    "choices": {"model": "sbanet", "model/alignment": "pwam", "data": "aeroscenes", "trainer": "cpu"},
    "dataset": {"name": "aeroscenes", "fingerprint": {"val": "f00"}}, "parameters": 5, "multiply_adds": 7.0,
    "config": {"seed": 2, "model": {"width": 3}}, "starts": [],
}  # fmt: skip


def begun(folder: Path, curves: str = "", facts: dict[str, Any] = FACTS, **options: Any) -> WandbRun:
    (folder / "metrics.csv").write_text(curves)
    run = WandbRun(str(folder), project="tests", group="modules", job_type="train", **options)
    run.begin(facts, folder / "metrics.csv")
    return run


def rows_of(curves: Path) -> dict[int, dict[str, float]]:
    """`metrics.csv`, the rows of a step together."""
    steps: dict[int, dict[str, float]] = {}
    for row in csv.DictReader(curves.open()):
        values = {name: float(value) for name, value in row.items() if value and name != "step"}
        steps.setdefault(int(row["step"]), {}).update(values)
    return steps


def same_as_the_curves(folder: Path) -> None:
    """One id, each step once and none left out, with the numbers of `metrics.csv`."""
    rows = history(folder)
    steps = rows_of(folder / "metrics.csv")
    assert [row["trainer/global_step"] for row in rows] == [row["_step"] for row in rows] == list(steps)
    for row, expected in zip(rows, steps.values(), strict=True):
        assert {name: row[name] for name in expected} == pytest.approx(expected)
    assert {run.run_id for run in runs(folder)} == {json.loads((folder / "run.json").read_text())["unique_id"]}


def test_a_run_says_what_it_is(tmp_path: Path) -> None:
    begun(tmp_path, tags=["paper"]).end(0, {"test/mIoU": 0.5})
    [run] = runs(tmp_path)
    said = (run.run_id, run.project, run.run_group, run.job_type, run.display_name)
    assert said == ("abc123", "tests", "modules", "train", "model/alignment=pwam seed=2")
    assert set(run.tags) == {"paper", "model=sbanet", "alignment=pwam", "data=aeroscenes"}
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert (config["seed"], config["model"]) == (2, {"width": 3})
    told = {key: config["run"][key] for key in ("git_commit", "dataset", "parameters", "multiply_adds")}
    assert told == {key: FACTS[key] for key in told}
    assert summary(tmp_path)["test/mIoU"] == 0.5
    assert exit_codes(tmp_path) == [0]


def test_a_name_that_would_be_cut_is_the_folders(tmp_path: Path) -> None:
    begun(tmp_path, facts=FACTS | {"changes": "x" * 200, "run_id": "x-1234"}).end(0, {})
    assert runs(tmp_path)[0].display_name == "x-1234"


def test_a_row_has_all_of_its_step_and_the_summary_the_best(tmp_path: Path) -> None:
    run = begun(tmp_path)
    for step, (score, loss) in enumerate([(0.3, 2.0), (0.5, 1.0), (0.4, 3.0)]):
        run.log_metrics({"train/loss": loss}, step=2 * step)
        run.log_metrics({"val/mIoU": score, "val/loss": loss, "val/count": 3}, step=2 * step)
    run.end(0, {})
    rows = history(tmp_path)
    assert [row["trainer/global_step"] for row in rows] == [row["_step"] for row in rows] == [0, 2, 4]
    assert [(row["train/loss"], row["val/mIoU"]) for row in rows] == [(2.0, 0.3), (1.0, 0.5), (3.0, 0.4)]
    best = {name: value for name, value in summary(tmp_path).items() if name.startswith("best/")}
    assert best == {"best/val/mIoU": 0.5, "best/val/loss": 1.0}


def test_a_start_after_another_repeats_nothing_and_brings_what_is_missing(tmp_path: Path) -> None:
    run = begun(tmp_path)
    for step in range(4):
        run.log_metrics({"val/mIoU": 0.9 if step == 1 else 0.1}, step=step)
    run.end(1, {})  # in the middle of step 3
    wandb.teardown()
    assert last_step(tmp_path, "abc123") == 2
    assert last_step(tmp_path, "other") == -1
    curves = "epoch,step,val/mIoU\n" + "".join(f"0,{step},{0.9 if step == 1 else 0.1}\n" for step in range(5))
    run = begun(tmp_path, curves)
    for step in (2, 4, 5):  # as if it went on from an older checkpoint than the curves
        run.log_metrics({"val/mIoU": 0.2}, step=step)
    run.end(0, {})
    rows = history(tmp_path)
    assert [(row["_step"], row["val/mIoU"]) for row in rows] == [
        (0, 0.1),
        (1, 0.9),
        (2, 0.1),
        (3, 0.1),
        (4, 0.1),
        (5, 0.2),
    ]
    assert summary(tmp_path)["best/val/mIoU"] == 0.9
    assert exit_codes(tmp_path) == [1, 0]


def test_a_log_that_breaks_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    run = begun(tmp_path)
    for step in range(3):
        run.log_metrics({"text": "x" * 40000}, step=step)  # over more than a block
    run.end(0, {})
    [log] = settled(tmp_path)
    content = log.read_bytes()
    assert len(history(tmp_path)) == 3
    log.write_bytes(content[: content.rindex(b"x" * 100) - 1000])
    assert last_step(tmp_path, "abc123") == 1


@pytest.mark.parametrize(
    ("error", "code"), [(RuntimeError("no memory"), 1), (ConfigError("x"), 2), (SystemExit(75), 75), (SystemExit(), 0)]
)
def test_the_exit_code_is_that_of_the_command(error: BaseException, code: int, tmp_path: Path) -> None:
    told: list[int] = []
    run = SimpleNamespace(end=lambda exit_code, scores: told.append(exit_code))
    with pytest.raises(type(error)), closing([run]):  # type: ignore[list-item]
        raise error
    assert told == [code]


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """W&B without a connection, or without anything; the modes that it does not start in."""
    modes: list[str] = []
    start = wandb.init

    def init(*, mode: str, **options: Any) -> Any:
        if mode in modes:
            raise wandb.errors.CommError("no\nconnection")
        return start(mode=mode, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(wandb, "init", init)
    return modes


def test_without_a_connection_it_goes_on_offline(
    tmp_path: Path, refusing: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    refusing += ["online"]
    run = begun(tmp_path, mode="online")
    run.log_metrics({"train/loss": 1.0}, step=0)
    run.end(0, {}, best=tmp_path / "none.ckpt")
    [warning] = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warning == "W&B did not start (CommError: no connection); logging offline"
    assert len(history(tmp_path)) == 1


def test_a_training_does_without_a_wandb_that_does_not_start(
    train_tiny: Train, tmp_path: Path, refusing: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    refusing += ["offline"]
    train_tiny(tmp_path, "logger=wandb", "trainer.max_epochs=1", "callbacks.pictures.count=1")
    [warning] = [record.getMessage() for record in caplog.records if "W&B" in record.getMessage()]
    assert warning == "W&B did not start (CommError: no connection); the run goes on without it"
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "finished"


def test_another_rank_opens_nothing(second_rank: None, tmp_path: Path, refusing: list[str]) -> None:
    refusing += ["offline"]
    run = begun(tmp_path)
    run.log_metrics({"train/loss": 1.0}, step=0)
    run.end(0, {})
    assert not logs(tmp_path)


def test_the_best_checkpoint_is_an_artifact_online(tmp_path: Path) -> None:
    (tmp_path / "best.ckpt").write_bytes(b"weights")
    told: list[Any] = []
    fake = SimpleNamespace(
        id="abc123", summary={}, finish=lambda exit_code: told.append(exit_code),
        log_artifact=lambda artifact, aliases: told.append((artifact.name, artifact.type, aliases, artifact)),
    )  # fmt: skip
    run = WandbRun(str(tmp_path), mode="online")
    run._experiment = fake  # type: ignore[assignment]
    run.end(0, {"best/val/mIoU": 0.5}, best=tmp_path / "best.ckpt")
    (name, kind, aliases, artifact), code = told
    assert (name, kind, aliases, code) == ("best-abc123", "model", ["best"], 0)
    assert list(artifact.manifest.entries) == ["best.ckpt"]
    assert artifact.metadata == {"best/val/mIoU": 0.5}


def test_a_run_that_failed_and_went_on_is_one_run(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ReferringSegmentation.training_step

    def failing(task: ReferringSegmentation, *arguments: Any) -> Any:
        if task.global_step == 10:
            monkeypatch.setattr(ReferringSegmentation, "training_step", whole)
            raise RuntimeError("no memory")
        return whole(task, *arguments)

    monkeypatch.setattr(ReferringSegmentation, "training_step", failing)
    overrides = ["logger=wandb", "callbacks.pictures.count=2"]
    with pytest.raises(RuntimeError):
        train_tiny(tmp_path, *overrides)
    wandb.teardown()
    scores = train_tiny(tmp_path, *overrides)
    same_as_the_curves(tmp_path)
    assert exit_codes(tmp_path) == [1, 0]
    shown = [(row["_step"], row["val/samples"]["count"]) for row in history(tmp_path) if "val/samples" in row]
    assert shown == [(7, 2), (15, 2)]
    [table] = [row["test/samples"] for row in history(tmp_path) if "test/samples" in row]
    assert (table["nrows"], table["ncols"]) == (16, 6)
    found = summary(tmp_path)
    assert {name: found[name] for name in scores} == pytest.approx(scores)
    train_tiny(tmp_path, *overrides)  # finished: nothing to log
    assert len(logs(tmp_path)) == 2


@pytest.mark.slow
def test_a_run_that_is_killed_has_each_step_once(scene_cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [*TINY, f"paths.cache={scene_cache}", f"hydra.run.dir={folder}", "logger=wandb", "data.num_workers=0"]
    for kill in ("step:12:all", "test:2:0", ""):  # the first takes W&B's process along
        done = killing.train(*command, kill=kill)
        assert (done.returncode == 0) == (not kill), done.stdout
    same_as_the_curves(folder)
    assert exit_codes(folder) == [None, None, 0]
    assert {run.display_name for run in runs(folder)} == {"run"}  # the folder's name, for so many overrides
    assert "decoder=topdown" in runs(folder)[0].tags


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder for W&B of 100 kB: the start of a run fits, its pictures do not."""
    with disk_of("100k", tmp_path / "run" / "wandb") as folder:
        yield folder


@pytest.mark.slow
def test_a_full_folder_of_wandb_is_one_line(small_disk: Path, scene_cache: Path) -> None:
    folder = small_disk.parent
    done = killing.train(*TINY, f"paths.cache={scene_cache}", f"hydra.run.dir={folder}", "logger=wandb")
    assert done.returncode == 0, done.stdout
    [line] = [line for line in done.stdout.splitlines() if "W&B failed" in line]
    assert "No space left on device" in line
    assert "Traceback" not in done.stdout
    assert json.loads((folder / "run.json").read_text())["status"] == "finished"
