"""What SLURM's commands say of jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from sbanet.sweeps.queue import Place, ended, queue


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for commands that stand in for SLURM's."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def command(folder: Path, name: str, says: str, code: int = 0) -> None:
    (folder / name).write_text(
        f"#!/bin/sh\nwhile read -r line; do echo \"$line\"; done <<'END'\n{says}\nEND\nexit {code}\n"
    )
    (folder / name).chmod(0o755)


def test_the_queue(slurm: Path) -> None:
    command(slurm, "squeue", "7_0|RUNNING|None\n7_1|PENDING|BeginTime\n9|OUT_OF_MEMORY|OutOfMemory\n")
    jobs = queue()
    assert jobs == {
        "7_0": Place(state="RUNNING"),
        "7_1": Place(state="PENDING", reason="BeginTime"),
        "9": Place(state="OUT_OF_MEMORY", reason="OutOfMemory"),
    }
    assert [(place.waits, place.ended) for place in jobs.values()] == [(False, False), (True, False), (False, True)]
    assert jobs["9"].words == "out of memory"


def test_an_empty_queue_is_no_missing_one(slurm: Path) -> None:
    assert queue() is None
    command(slurm, "squeue", "", code=1)
    assert queue() is None
    command(slurm, "squeue", "")
    assert queue() == {}


def test_jobs_that_the_queue_has_forgotten(slurm: Path) -> None:
    assert ended(["7_0"]) == {}
    command(slurm, "sacct", "7_0|CANCELLED by 1000\n7_1|TIMEOUT\n")
    assert ended(["7_0", "7_1"]) == {"7_0": Place(state="CANCELLED"), "7_1": Place(state="TIMEOUT")}
    assert ended([]) == {}
