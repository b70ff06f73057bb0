"""Sweeps on a SLURM of their own, on a node without a network: requeued, out of time, cancelled, and retried."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sbanet.sweeps.wandb_sync import offline_logs
from tests.killing import state
from tests.sweeps.slurm_cluster import Cluster, missing
from tests.tiny_run import TINY

ROOT = Path(__file__).resolve().parents[2]
RANKS = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.precision=32-true")
LENGTH, PACE = 60, 2.0
"""Steps of a run, and seconds that one takes: no start gets to the end within its time."""
TIME, WARNING = 2, 10
"""Minutes of a start, and the seconds before that when SLURM is asked to warn; it may do so a minute earlier."""
LIMIT = 900.0
"""Seconds until a test gives up."""

pytestmark = pytest.mark.slurm


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if why := missing():
        pytest.skip(f"no SLURM: {why}")
    cluster = Cluster(tmp_path_factory.mktemp("slurm") / "cluster", cpus=6)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


class Runs:
    """Runs of one experiment in a folder, whoever starts them."""

    def __init__(self, folder: Path, cache: Path, cluster: Cluster) -> None:
        self.folder = folder / "runs" / "clustered"
        self.cluster = cluster
        self.overrides = [
            "name=clustered", f"paths.runs={folder / 'runs'}", f"paths.cache={cache}", *TINY, *RANKS,
            f"trainer.max_steps={LENGTH}", "trainer.max_epochs=-1", "trainer.val_check_interval=30",
            "trainer.check_val_every_n_epoch=null",
            "callbacks.pictures=null", "callbacks.best.agree_every_n_steps=1", "data.num_workers=1",
            "+callbacks.pace={_target_:tests.sweeps.pace.Pace}",
        ]  # fmt: skip

    def call(self, *command: str, pace: float = 0.0) -> str:
        """A command on the cluster's login node."""
        environment = os.environ | self.cluster.environment | {
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "OMP_NUM_THREADS": "1",
            "PACE": str(pace),
        }  # fmt: skip
        done = subprocess.run(
            self.cluster.within(*command), env=environment, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=LIMIT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        return done.stdout

    def of_seed(self, seed: int) -> Path:
        """The folder of a job, once it has begun."""
        found = [path.parent for path in self.folder.glob("*/run.json") if json.loads(path.read_text())["seed"] == seed]
        assert len(found) <= 1
        return found[0] if found else self.folder / "none"

    def facts(self, seed: int) -> dict[str, object]:
        path = self.of_seed(seed) / "run.json"
        return json.loads(path.read_text()) if path.is_file() else {}

    def step(self, seed: int) -> int:
        """The last step that a job has logged."""
        path = self.of_seed(seed) / "metrics.csv"
        rows = path.read_text().splitlines()[1:] if path.is_file() else []
        return int(rows[-1].split(",")[1]) if rows else -1

    def wait(self, there: Callable[[], object]) -> None:
        until = time.monotonic() + LIMIT
        while not there():
            assert time.monotonic() < until, self.story()
            time.sleep(0.5)

    def story(self) -> str:
        logs = [f"{path}:\n{path.read_text()[-3000:]}" for path in sorted(self.folder.glob("*/job*.log"))]
        return "\n".join([self.cluster.logs(), self.cluster.tell("squeue", "--array", check=False), *logs])

    def queued(self) -> str:
        return self.cluster.tell("squeue", "--noheader", "--array")


@pytest.fixture(scope="module")
def undisturbed(cluster: Cluster, scene_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """The runs of two seeds as they are without a cluster."""
    runs = Runs(tmp_path_factory.mktemp("undisturbed"), scene_cache, cluster)
    for seed in (1, 2):
        runs.call(sys.executable, "-m", "sbanet.train", *runs.overrides, f"seed={seed}")
    return runs


def assert_same(one: Path, other: Path) -> None:
    """Two runs computed the same, bit for bit."""
    for name in ("last.ckpt", "best.ckpt"):
        assert state(one / "checkpoints" / name) == state(other / "checkpoints" / name)
    assert table(one) == table(other)
    scores = [json.loads((folder / "run.json").read_text())["scores"] for folder in (one, other)]
    assert scores[0] == scores[1]
    assert {"test/mIoU", "best/val/mIoU"} <= scores[0].keys()


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_sweep_is_requeued_runs_out_of_time_and_is_cancelled(
    undisturbed: Runs, cluster: Cluster, scene_cache: Path, tmp_path: Path
) -> None:
    runs = Runs(tmp_path, scene_cache, cluster)
    launch = (
        "hydra/launcher=slurm", "hydra.launcher.cpus_per_task=1", f"hydra.launcher.timeout_min={TIME}",
        f"hydra.launcher.signal_delay_s={WARNING}",
    )  # fmt: skip
    sweep = (sys.executable, "-m", "sbanet.train", "-m", *runs.overrides, "logger=wandb", *launch)
    runs.call(*sweep, "seed=1,2,3", pace=PACE)
    places = {
        next(part for part in job["overrides"] if part.startswith("seed=")): job["queued"]
        for job in json.loads((runs.folder / "sweep.json").read_text()).values()
    }
    assert len(set(places.values())) == 3
    runs.wait(lambda: min(runs.step(seed) for seed in (1, 2, 3)) >= 2)
    cluster.tell("scontrol", "requeue", places["seed=1"])
    cluster.tell("scancel", places["seed=3"])
    again = runs.call(*sweep, "seed=1,2")
    assert f"running as {places['seed=2']}" in again
    assert "submitted" not in again
    status = (sys.executable, "-m", "sbanet.sweep", "status", str(runs.folder))
    runs.wait(lambda: not runs.queued())

    said = runs.call(*status)
    assert "2 finished, 1 interrupted" in said, said + runs.story()
    assert "cancelled" in said
    for seed in (1, 2):
        assert_same(runs.of_seed(seed), undisturbed.of_seed(seed))
    assert len(runs.facts(1)["starts"]) >= 2
    assert len(runs.facts(2)["starts"]) >= 2
    log = (runs.of_seed(2) / "job.log").read_text()
    assert f"job {places['seed=2']} is queued again" in log
    starts = len(runs.facts(3)["starts"])

    runs.call(sys.executable, "-m", "sbanet.sweep", "retry", str(runs.folder), "hydra.launcher.timeout_min=5")
    runs.wait(lambda: not runs.queued())
    assert "3 finished" in runs.call(*status), runs.story()
    assert len(runs.facts(3)["starts"]) == starts + 1
    assert len([path for path in runs.folder.iterdir() if path.is_dir() and path.name != ".submitit"]) == 3

    logs = offline_logs(runs.folder)  # what `sbanet-sweep sync` uploads, once there is a network
    assert {log.stem.removeprefix("run-") for log in logs} == {runs.facts(seed)["unique_id"] for seed in (1, 2, 3)}
    assert len(logs) == len(set(logs)) == sum(len(runs.facts(seed)["starts"]) for seed in (1, 2, 3))


def test_a_sweep_by_a_script_of_its_own(undisturbed: Runs, cluster: Cluster, scene_cache: Path, tmp_path: Path) -> None:
    runs = Runs(tmp_path, scene_cache, cluster)
    jobs = tmp_path / "jobs.txt"
    jobs.write_text("seed=1\nseed=2\n")
    options = (
        "--array=1-2", "--ntasks-per-node=2", "--cpus-per-task=1", "--gpus-per-node=0", "--time=10",
        f"--output={tmp_path}/%x-%A_%a.log",
    )  # fmt: skip
    script = (str(ROOT / "docs" / "sweep.sbatch"), str(jobs), *runs.overrides)
    array = runs.call("sbatch", "--parsable", *options, *script, pace=0.5).strip()
    runs.wait(lambda: min(runs.step(1), runs.step(2)) >= 2)
    cluster.tell("scontrol", "requeue", f"{array}_1")
    cluster.tell("scancel", "--signal=USR2", f"{array}_2")  # as at the end of its time
    runs.wait(lambda: not runs.queued())
    said = runs.call(sys.executable, "-m", "sbanet.sweep", "status", str(runs.folder))
    assert "2 finished" in said, said + runs.story()
    for seed in (1, 2):
        assert len(runs.facts(seed)["starts"]) == 2
        assert_same(runs.of_seed(seed), undisturbed.of_seed(seed))
