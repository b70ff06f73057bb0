"""`sbanet-sweep status`."""

from __future__ import annotations

from pathlib import Path

import pytest

from sbanet.sweep import main
from sbanet.sweeps.record import JobRecord, job_lock, note_job


def noted(folder: Path, seed: int, status: str, error: str | None = None) -> JobRecord:
    path = folder / f"seed-{seed}"
    path.mkdir(exist_ok=True)
    overrides = ["experiment=a", "note=it's [new]", f"seed={seed}"]
    record = JobRecord(name=path.name, folder=str(path), overrides=overrides, status=status, seconds=90.0, error=error)
    note_job(record)
    return record


def test_the_status_of_a_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noted(tmp_path, 1, "finished")
    noted(tmp_path, 2, "failed", "exit code 1; RuntimeError: [enforce fail] out of memory")
    noted(tmp_path, 3, "running")
    running = noted(tmp_path, 4, "running")
    with job_lock(running.folder):
        main(["status", str(tmp_path)])
    output = capsys.readouterr().out
    assert "[enforce fail] out of memory" in output
    assert "1 finished, 1 failed, 1 killed, 1 running\n" in output
    assert output.count("1.5") == 4
    assert output.endswith(
        "sbanet-train experiment=a 'note=it'\"'\"'s [new]' seed=2\n"
        "sbanet-train experiment=a 'note=it'\"'\"'s [new]' seed=3\n"
    )


def test_a_folder_without_a_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["status", str(tmp_path)])
    assert "no sweep.json; expected the folder of a sweep" in capsys.readouterr().err
