"""A sweep over two ranks: one folder a job, each with its own values on both, whatever happens to the others."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sbanet.errors import ConfigError
from sbanet.sweeps.multirun import is_a_further_rank, places
from sbanet.sweeps.wandb_sync import offline_logs
from tests import offline_wandb
from tests.tiny_run import TINY

ROOT = Path(__file__).resolve().parents[2]
RANKS = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")
LIMIT = 900.0
"""Seconds until a test gives up on a sweep that hangs."""


class Sweep:
    """`sbanet-train -m name=swept ...` in a folder."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder / "runs" / "swept"
        self.started: list[subprocess.Popen[str]] = []
        self.arguments = [
            sys.executable, "-m", "sbanet.train", "--multirun", "name=swept", f"paths.runs={folder / 'runs'}",
            f"paths.cache={cache}", *TINY, "trainer.max_epochs=1", "callbacks.pictures=null",
        ]  # fmt: skip
        self.environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]), "OMP_NUM_THREADS": "1"
        }  # fmt: skip

    def start(self, *overrides: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*self.arguments, *overrides],
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # tests that run in the background of a shell ignore Ctrl-C, and what they start would as well
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.started.append(process)
        return process

    def run(self, *overrides: str) -> tuple[int, str]:
        process = self.start(*overrides)
        output, _ = process.communicate(timeout=LIMIT)
        return process.returncode, output

    def jobs(self) -> dict[int, Path]:
        """The folders by their job's seed."""
        folders = [path for path in self.folder.iterdir() if path.is_dir()]
        seeds = {}
        for folder in folders:
            composed = (folder / ".hydra" / "overrides.yaml").read_text()
            seeds[next(seed for seed in range(10) if f"seed={seed}\n" in composed)] = folder
        assert len(seeds) == len(folders)
        return seeds

    def statuses(self) -> dict[int, str]:
        records = json.loads((self.folder / "sweep.json").read_text())
        return {seed: records[folder.name]["status"] for seed, folder in sorted(self.jobs().items())}

    def left_over(self) -> list[str]:
        """Processes that still have the sweep's folder in their command line."""
        lines = [
            path.read_bytes().decode(errors="replace") for path in Path("/proc").glob("[0-9]*/cmdline") if alive(path)
        ]
        return [line for line in lines if str(self.folder.parent) in line]


def alive(cmdline: Path) -> bool:
    try:
        return " Z " not in (cmdline.parent / "stat").read_text() and bool(cmdline.read_bytes())
    except OSError:
        return False


@pytest.fixture
def sweep(tmp_path: Path, scene_cache: Path) -> Iterator[Sweep]:
    sweep = Sweep(tmp_path, scene_cache)
    yield sweep
    for process in sweep.started:
        process.terminate()  # nothing where it has ended, as it should
        process.wait()


def said_of(sweep: Sweep, seed: int) -> str:
    return json.loads((sweep.folder / "sweep.json").read_text())[sweep.jobs()[seed].name]["error"]


def ending(seed: int, rank: int, when: str, how: str) -> str:
    return (
        f"+callbacks.ending_{seed}="
        f"{{_target_:tests.sweeps.ending.Ending,seed:{seed},rank:{rank},when:{when},how:{how}}}"
    )


@pytest.mark.slow
def test_a_job_that_fails_on_one_rank_fails_alone(sweep: Sweep) -> None:
    endings = (ending(2, 0, "setup", "error"), ending(3, 1, "setup", "error"), ending(4, 1, "step", "kill"))
    code, output = sweep.run("seed=1,2,3,4,5", *RANKS, *endings)
    assert code == 1, output
    assert sweep.statuses() == {1: "finished", 2: "failed", 3: "failed", 4: "failed", 5: "finished"}, output
    jobs = sweep.jobs()
    assert sorted(path.name for path in sweep.folder.iterdir() if not path.is_dir()) == ["multirun.yaml", "sweep.json"]
    for seed, rank in ((2, 0), (3, 1)):
        assert f"RuntimeError: ended in setup on rank {rank}" in said_of(sweep, seed)
        assert f"RuntimeError: ended in setup on rank {rank}" in (jobs[seed] / "job.log").read_text()
    # what rank 0 notices first: its peer's end, or silence
    assert re.search("SIGKILL|[Cc]onnection", said_of(sweep, 4)), said_of(sweep, 4)
    for seed in (2, 3, 4):
        assert json.loads((jobs[seed] / "run.json").read_text())["status"] == "failed"
    for seed in (1, 5):
        ranks = [json.loads((jobs[seed] / f"rank-{rank}.json").read_text()) for rank in (0, 1)]
        assert ranks == [{"seed": seed, "lr": 0.001, "world_size": 2}] * 2
        assert json.loads((jobs[seed] / "run.json").read_text())["status"] == "finished"
    assert sweep.left_over() == []


@pytest.mark.slow
def test_what_has_finished_is_skipped_and_what_failed_runs_again(sweep: Sweep) -> None:
    code, output = sweep.run("seed=1,2", ending(2, 0, "step", "error"))
    assert (code, sweep.statuses()) == (1, {1: "finished", 2: "failed"}), output
    first = sweep.jobs()
    before = (first[1] / "run.json").read_text()
    code, output = sweep.run("seed=1,2", ending(2, 0, "step", "error"))
    assert (code, sweep.statuses()) == (1, {1: "skipped", 2: "failed"}), output
    assert sweep.jobs() == first
    assert (first[1] / "run.json").read_text() == before


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_stops_a_sweep_stops_all_of_it(sweep: Sweep, number: int) -> None:
    process = sweep.start("seed=1,2", *RANKS, "trainer.max_epochs=500")
    until = time.monotonic() + LIMIT
    while not list(sweep.folder.glob("*/metrics.csv")):
        assert time.monotonic() < until
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.2)
    process.send_signal(number)
    output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode not in (0, 1), output
    assert list(sweep.statuses().values()) == ["interrupted"]
    assert sweep.left_over() == []


@pytest.mark.slow
def test_jobs_run_side_by_side(sweep: Sweep) -> None:
    code, output = sweep.run("seed=1,2", "sweep.parallel=2", "logger=wandb", "logger.wandb.tags=[nightly]")
    assert (code, sweep.statuses()) == (0, {1: "finished", 2: "finished"}), output
    assert output.index("started", output.index("started") + 1) < output.index(": finished")
    names = set()
    for folder in sweep.jobs().values():  # each in a W&B run of its own
        [run] = offline_wandb.runs(folder)
        assert (run.run_group, run.run_id) == ("swept", json.loads((folder / "run.json").read_text())["unique_id"])
        names.add(run.display_name)
        assert {"nightly", "alignment=bam", "data=aeroscenes"} <= set(run.tags)
        assert offline_wandb.exit_codes(folder) == [0]
    assert len(names) == len(offline_logs(sweep.folder)) == 2


@pytest.mark.slow
def test_ranks_that_differ_are_refused_before_the_first_step(sweep: Sweep) -> None:
    sweep.arguments.remove("--multirun")
    code, output = sweep.run(*RANKS, 'seed="${oc.decode:${oc.env:LOCAL_RANK,5}}"', "callbacks.best=null")
    assert code != 0
    assert "rank 1 has another config than rank 0: data.seed 5 -> 1, seed 5 -> 1" in output


def test_of_torchruns_processes_one_runs_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_a_further_rank(["-m", "seed=1,2"])
    for name, value in {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    assert is_a_further_rank(["-m", "seed=1,2"])
    assert not is_a_further_rank(["seed=1"])
    monkeypatch.setenv("RANK", "0")
    assert not is_a_further_rank(["-m", "seed=1,2"])
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("GROUP_WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"torchrun on 2 nodes was given a sweep"):
        is_a_further_rank(["-m", "seed=1,2"])


@pytest.mark.parametrize("parallel", [0, -1, "two", 1.5, None])
def test_jobs_side_by_side_are_a_whole_number(parallel: object) -> None:
    with pytest.raises(ConfigError, match=r"sweep.parallel=.*: expected a whole number"):
        places(parallel)
