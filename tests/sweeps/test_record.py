"""What is noted of a sweep's jobs, and how a job's end is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sbanet.sweeps.multirun import outcome
from sbanet.sweeps.record import JobRecord, first_error, note_job, read_records
from sbanet.sweeps.standing import standings
from sbanet.sweeps.table import changes, job_table
from sbanet.training.run_folder import RunFolder

TRACEBACKS = """[12:00][sbanet][INFO] - training
Error executing job with overrides: []
[rank1]: Traceback (most recent call last):
[rank1]:   File "a.py", line 1, in <module>
[rank1]:     raise ValueError("first")
[rank1]: ValueError: first
Traceback (most recent call last):
  File "b.py", line 1, in <module>
RuntimeError: Connection closed by peer

"""


def folder_with(path: Path, **facts: object) -> RunFolder:
    path.mkdir(parents=True)
    (path / "run.json").write_text(json.dumps({"config": {}, "dataset": {}, "started": "now", **facts}))
    return RunFolder(path)


def test_the_first_error_is_the_cause(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    log.write_text(TRACEBACKS)
    assert first_error(log, 0) == "ValueError: first"
    assert first_error(log, TRACEBACKS.index("\nTraceback")) == "RuntimeError: Connection closed by peer"
    log.write_text("sbanet-train: data.root=x: no such folder\n\n")
    assert first_error(log, 0) == "sbanet-train: data.root=x: no such folder"
    assert first_error(log, 10_000) == f"{log} is empty"


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        (0, "finished", ("finished", None)),
        (1, "failed", ("failed", "exit code 1; why")),
        (-9, "running", ("failed", "ended by SIGKILL; why")),
        (75, "interrupted", ("interrupted", "exit code 75")),
        (2, "finished", ("failed", "exit code 2; why")),
    ],
)
def test_how_a_job_ended(code: int, status: str, expected: tuple[str, str | None], tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "run", status=status)
    assert outcome(code, folder, "why") == expected
    assert (folder.facts or {})["status"] == ("failed" if status == "running" else status)


def test_a_job_that_never_came_to_a_run(tmp_path: Path) -> None:
    assert outcome(2, RunFolder(tmp_path / "run"), "a typo") == ("failed", "exit code 2; a typo")


def test_jobs_are_noted_beside_each_other(tmp_path: Path) -> None:
    assert read_records(tmp_path) == {}
    jobs = [
        JobRecord(name=f"seed-{seed}", folder=str(tmp_path / f"seed-{seed}"), overrides=[f"seed={seed}"])
        for seed in (1, 2)
    ]
    for job in jobs:
        note_job(job)
    jobs[0].status, jobs[0].error = "failed", "out of memory"
    note_job(jobs[0])
    assert read_records(tmp_path) == {"seed-1": jobs[0], "seed-2": jobs[1]}


def test_a_job_is_told_by_what_it_changes(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    jobs = [JobRecord(name=f"n{seed}", folder=str(gone), overrides=["experiment=a", f"seed={seed}"]) for seed in (1, 2)]
    assert [changes(job, jobs) for job in jobs] == ["seed=1", "seed=2"]
    assert changes(jobs[0], jobs[:1]) == "n1"
    assert job_table(jobs, standings(jobs)).row_count == 2
    assert not gone.exists()  # who only looks makes no folder
