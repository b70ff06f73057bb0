"""`hydra/launcher=slurm` up to what it hands to sbatch, here a program that takes everything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from sbanet.errors import ConfigError
from sbanet.sweeps.rank import environment_of_a_rank
from sbanet.sweeps.record import JobRecord
from sbanet.sweeps.slurm import Job, by_parameters, parameters
from tests.tiny_run import TINY

ROOT = Path(__file__).resolve().parents[2]

FAKES = {
    "sbatch": 'cp "$1" "$FAKES/submitted.sh"; echo Submitted batch job 7',
    "srun": "exit 1",
    "squeue": 'cat "$FAKES/queue"',
}


@pytest.mark.slow
def test_a_sweep_is_submitted_once(tmp_path: Path) -> None:
    for name, line in FAKES.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "queue").write_text("")

    def launch(*overrides: str) -> str:
        done = subprocess.run(
            [
                sys.executable, "-m", "sbanet.train", "-m", *TINY, f"paths.runs={tmp_path}", "name=a", "trainer=ddp",
                "trainer.accelerator=gpu", "trainer.devices=4", "trainer.num_nodes=2", "hydra/launcher=slurm",
                "hydra.launcher.partition=a100", *overrides,
            ],
            env=os.environ | {
                "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
                "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "FAKES": str(tmp_path),
            },
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        return done.stdout

    assert launch("seed=1,2").count("submitted as 7_") == 2
    script = (tmp_path / "submitted.sh").read_text()
    asked = {
        "array=0-1%2", "nodes=2", "ntasks-per-node=4", "gpus-per-node=4", "cpus-per-task=4", "partition=a100",
        "signal=USR2@120", "requeue", "open-mode=append", "job-name=a", "time=720",
    }  # fmt: skip
    assert {f"#SBATCH --{option}" for option in asked} <= set(script.splitlines())
    assert "--kill-on-bad-exit=1" in script
    jobs = json.loads((tmp_path / "a" / "sweep.json").read_text())
    assert [(job["status"], job["queued"]) for job in jobs.values()] == [("submitted", "7_0"), ("submitted", "7_1")]

    (tmp_path / "queue").write_text("7_0|RUNNING|None\n7_1|CANCELLED|None\n")
    said = launch("seed=1,2")
    assert ": running as 7_0" in said
    assert said.count("submitted as 7") == 1  # not an array: there is one
    assert "--array" not in (tmp_path / "submitted.sh").read_text()


def job(name: str, **asked: Any) -> Job:
    return Job(record=JobRecord(name=name, folder=name), command=[], parameters=asked)


def test_jobs_that_ask_for_the_same_are_one_array() -> None:
    jobs = [job("a", nodes=1), job("b", nodes=2), job("c", nodes=1)]
    assert [[one.record.name for one in group] for group in by_parameters(jobs)] == [["a", "c"], ["b"]]


@pytest.mark.parametrize("devices", ["auto", -1, 0])
def test_a_number_of_tasks_is_needed(devices: Any) -> None:
    launcher = {"_target_": "a", "nodes": 1, "tasks_per_node": "${trainer.devices}"}
    config = OmegaConf.create({"trainer": {"devices": devices}, "hydra": {"launcher": launcher}})
    with pytest.raises(ConfigError, match=r"hydra\.launcher\.tasks_per_node=.*set trainer\.num_nodes and trainer\."):
        parameters(config)


def test_a_rank_has_its_tasks_threads() -> None:
    task = {"SLURM_CPUS_PER_TASK": "4", "SLURM_PROCID": "1", "RANK": "3", "MASTER_PORT": "1"}
    assert environment_of_a_rank(task) == {
        "SLURM_CPUS_PER_TASK": "4", "SLURM_PROCID": "1", "OMP_NUM_THREADS": "4",
    }  # fmt: skip
    assert environment_of_a_rank(task | {"OMP_NUM_THREADS": "1"})["OMP_NUM_THREADS"] == "1"
