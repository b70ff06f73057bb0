"""A run in a job of SLURM: who its ranks are, and when it queues itself again."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.fabric.plugins.environments import LightningEnvironment, SLURMEnvironment
from omegaconf import OmegaConf

from sbanet.errors import ConfigError
from sbanet.training.checkpoints import RunCheckpoints
from sbanet.training.signals import RUN_AGAIN
from sbanet.training.slurm import cluster_environment, going_back, job_id, number

JOB = {"SLURM_JOB_ID": "17", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4", "SLURM_NTASKS_PER_NODE": "2"}


def environment(devices: Any, num_nodes: int, variables: dict[str, str]) -> Any:
    return cluster_environment(OmegaConf.create({"devices": devices, "num_nodes": num_nodes}), variables)


@pytest.fixture(autouse=True)
def in_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning's own check reads the process's variables."""
    for name, value in (JOB | {"SLURM_NTASKS": "4"}).items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(("devices", "num_nodes"), [(2, 2), ([0, 1], 2), ("auto", 2)])
def test_a_task_is_a_rank(devices: Any, num_nodes: int) -> None:
    found = environment(devices, num_nodes, JOB)
    assert isinstance(found, SLURMEnvironment)
    assert not found.auto_requeue  # or two would queue the job again


def test_without_srun_the_ranks_are_started_here() -> None:
    batch_script = {name: value for name, value in JOB.items() if "STEP" not in name}
    assert isinstance(environment(2, 1, batch_script), LightningEnvironment)
    assert isinstance(environment(2, 1, JOB | {"SLURM_STEP_NUM_TASKS": "1"}), LightningEnvironment)


def test_elsewhere_lightning_finds_out() -> None:
    assert environment(2, 1, {}) is None
    assert environment(2, 2, JOB | {"TORCHELASTIC_RUN_ID": "a"}) is None


@pytest.mark.parametrize(("devices", "num_nodes"), [(4, 2), (1, 2), (2, 1), (4, 1)])
def test_tasks_that_are_no_ranks_are_refused(devices: int, num_nodes: int) -> None:
    with pytest.raises(ConfigError, match=rf"started 4 tasks.*--nodes={num_nodes} --ntasks-per-node={devices}"):
        environment(devices, num_nodes, JOB)


def test_tasks_that_lightning_cannot_place_are_refused() -> None:
    without = {name: value for name, value in JOB.items() if name != "SLURM_NTASKS_PER_NODE"}
    with pytest.raises(ConfigError, match="without --ntasks-per-node"):
        environment(2, 2, without)


@pytest.mark.parametrize(("devices", "known"), [(2, 2), ([0, 3], 2), (-1, None), ("auto", None)])
def test_the_number_of_devices(devices: Any, known: int | None) -> None:
    assert number(devices) == known


def test_the_name_of_a_job() -> None:
    assert job_id({}) is None
    assert job_id({"SLURM_JOB_ID": "17"}) == "17"
    assert job_id({"SLURM_JOB_ID": "17", "SLURM_ARRAY_JOB_ID": "15", "SLURM_ARRAY_TASK_ID": "2"}) == "15_2"


class Stopped:
    """A run that a signal stopped at a step, in a job whose `scontrol` notes what it is told."""

    def __init__(self, folder: Path, answer: int = 0) -> None:
        self.told = folder / "told"
        scontrol = folder / "scontrol"
        scontrol.write_text(f'#!/bin/sh\necho "$@" >> {self.told}\necho no such job >&2\nexit {answer}\n')
        scontrol.chmod(0o755)

    def by(self, name: str, *, steps: int = 3, code: int = RUN_AGAIN, first: bool = True) -> str:
        checkpoints = RunCheckpoints("/nowhere", stop_signals=["SIGTERM", "SIGUSR1", "SIGUSR2"])
        checkpoints._began_at, checkpoints._last_global_step_saved = 5, 5 + steps
        checkpoints.signals.received = {one.name: one for one in checkpoints.signals.signals}[name]
        trainer: Any = SimpleNamespace(checkpoint_callback=checkpoints, is_global_zero=first)
        with pytest.raises(SystemExit) as stop, going_back(trainer, ["SIGUSR1", "SIGUSR2"]):
            raise SystemExit(code)
        assert stop.value.code == code
        return self.told.read_text() if self.told.exists() else ""


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stopped:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return Stopped(tmp_path)


def test_a_run_whose_time_is_up_queues_its_job_again(stopped: Stopped) -> None:
    assert stopped.by("SIGUSR2") == "requeue 17\n"


def test_a_run_that_is_cancelled_or_preempted_leaves_that_to_slurm(stopped: Stopped) -> None:
    assert stopped.by("SIGTERM") == ""


def test_one_rank_queues_the_job_again(stopped: Stopped) -> None:
    assert stopped.by("SIGUSR1", first=False) == ""


def test_a_run_that_failed_is_not_queued_again(stopped: Stopped) -> None:
    assert stopped.by("SIGUSR1", code=1) == ""


def test_a_start_without_a_step_is_not_repeated(stopped: Stopped, caplog: pytest.LogCaptureFixture) -> None:
    assert stopped.by("SIGUSR1", steps=0) == ""
    assert "job 17 is not queued again: its time was up before a step was trained" in caplog.text


def test_outside_of_a_job_nothing_is_queued(stopped: Stopped, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID")
    assert stopped.by("SIGUSR1") == ""


@pytest.mark.parametrize("scontrol", ["refuses", "is missing"])
def test_a_job_that_cannot_be_queued_again_says_so(
    scontrol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stopped = Stopped(tmp_path, answer=1)
    monkeypatch.setenv("PATH", str(tmp_path) if scontrol == "refuses" else "")
    with caplog.at_level(logging.ERROR):
        stopped.by("SIGUSR1")
    assert "job 17 could not be queued again" in caplog.text
    assert ("no such job" in caplog.text) == (scontrol == "refuses")


def test_an_unknown_signal_is_named() -> None:
    with pytest.raises(ConfigError, match=r"slurm\.requeue_after: got USR1; expected names of"):
        going_back(SimpleNamespace(), ["USR1"]).__enter__()  # type: ignore[arg-type]
