"""What has become of jobs, as told by their processes, the queue and the runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sbanet.sweeps import standing
from sbanet.sweeps.queue import Place
from sbanet.sweeps.record import JobRecord, job_lock
from sbanet.sweeps.standing import Standing, standings


def of(record: JobRecord) -> Standing:
    [found] = standings([record])
    return found


def test_a_job_whose_sweep_is_gone_was_killed(tmp_path: Path) -> None:
    job = JobRecord(name="a", folder=str(tmp_path))
    assert of(job).status == "killed"
    with job_lock(tmp_path):
        assert of(job).status == "running"
    job.status, job.error, job.seconds = "failed", "out of memory", 60.0
    assert of(job) == Standing(status="failed", why="out of memory", seconds=60.0)


CASES = [
    (Place(state="PENDING", reason="Resources"), None, "waiting", "Resources"),
    (Place(state="PENDING", reason="None"), None, "waiting", ""),
    (Place(state="PENDING", reason="BeginTime"), {"status": "interrupted"}, "waiting", "BeginTime"),
    (Place(state="RUNNING"), {"status": "interrupted"}, "running", ""),  # it has not got so far as to say so
    (Place(state="COMPLETING"), {"status": "finished"}, "running", ""),
    (Place(state="COMPLETED"), {"status": "finished"}, "finished", ""),
    (None, {"status": "finished"}, "finished", ""),
    (Place(state="FAILED"), {"status": "failed", "error": "RuntimeError: no"}, "failed", "RuntimeError: no"),
    (Place(state="TIMEOUT"), {"status": "interrupted"}, "interrupted", "timeout"),
    (Place(state="CANCELLED"), None, "killed", "cancelled"),
    (Place(state="OUT_OF_MEMORY"), {"status": "running"}, "killed", "out of memory; the last words"),
    (None, {"status": "running"}, "killed", "no longer in the queue; the last words"),
]


@pytest.mark.parametrize(("place", "facts", "status", "why"), CASES)
def test_a_job_of_slurm(
    place: Place | None, facts: dict | None, status: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "queue", lambda: {"7_0": place} if place else {})
    monkeypatch.setattr(standing, "ended", lambda jobs: {})
    if facts is not None:
        (tmp_path / "run.json").write_text(
            json.dumps({"config": {}, "dataset": {}, "started": "", "seconds": 30.0} | facts)
        )
        (tmp_path / "job.log").write_text("the first\nthe last words\n")
    job = JobRecord(name="a", folder=str(tmp_path), status="submitted", queued="7_0")
    assert of(job) == Standing(status=status, why=why, seconds=30.0 if facts else 0.0)


def test_where_no_slurm_answers_the_runs_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "queue", lambda: None)
    job = JobRecord(name="a", folder=str(tmp_path / "none"), status="submitted", queued="7_0")
    assert of(job) == Standing(status="submitted", why="no SLURM answers here")
    assert not (tmp_path / "none").exists()  # who only looks makes no folder


def test_the_queue_is_asked_once_and_only_for_jobs_of_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(standing, "queue", lambda: asked.append("queue") or {})
    monkeypatch.setattr(standing, "ended", lambda jobs: asked.append(jobs) or {})
    standings([JobRecord(name="a", folder=str(tmp_path), status="finished")])
    assert asked == []
    standings([JobRecord(name=n, folder=str(tmp_path), status="submitted", queued=f"7_{n}") for n in "01"])
    assert asked == ["queue", ["7_0", "7_1"]]
