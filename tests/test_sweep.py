"""`sbanet-sweep status`, `retry` and `sync`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sbanet.sweep import main
from sbanet.sweeps.record import JobRecord, job_lock, note_job
from sbanet.sweeps.wandb_sync import WANDB_SYNC, offline_logs


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


def test_what_did_not_finish_is_launched_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noted(tmp_path, 1, "finished")
    noted(tmp_path, 3, "interrupted")
    record = noted(tmp_path, 2, "failed")
    record.launch = ["--config-name", "train", "hydra/launcher=slurm"]
    note_job(record)
    called: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess:
        called.append(command[1:])
        return subprocess.CompletedProcess(command, len(called) - 1)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(SystemExit, match="1"):  # the second one failed once more
        main(["retry", str(tmp_path), "hydra.launcher.mem_gb=64"])
    job = ["-m", "sbanet.train", "--multirun"]
    overrides = ["experiment=a", "note=it's [new]"]
    assert called == [
        [*job, *overrides, "seed=3", "hydra.launcher.mem_gb=64"],
        [*job, *record.launch, *overrides, "seed=2", "hydra.launcher.mem_gb=64"],
    ]


def test_a_retry_makes_no_other_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noted(tmp_path, 1, "failed")
    with pytest.raises(SystemExit):
        main(["retry", str(tmp_path), "data.batch_size=8"])
    assert "data.batch_size=8: makes other runs; expected overrides of Hydra" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["status", str(tmp_path), "hydra.launcher.mem_gb=64"])
    assert "status takes no overrides" in capsys.readouterr().err


def test_runs_of_a_batch_script_are_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    for seed, job in ((1, "7_1"), (2, None)):
        (tmp_path / f"seed-{seed}").mkdir()
        facts = {
            "config": {},
            "dataset": {},
            "started": "",
            "changes": f"seed={seed}",
            "status": "failed",
            "slurm_job": job,
        }
        (tmp_path / f"seed-{seed}" / "run.json").write_text(json.dumps(facts))
    main(["status", str(tmp_path)])
    output = capsys.readouterr().out
    assert "1 failed\n" in output
    assert "no SLURM answers here" in output
    with pytest.raises(SystemExit):
        main(["retry", str(tmp_path)])
    assert "7_1: submitted by a script; submit it once more" in capsys.readouterr().err


STARTS = {
    "seed-2": ["offline-run-20260102_100000-bbb", "offline-run-20260103_080000-bbb"],
    "seed-1": ["offline-run-20260102_110000-aaa"],
    "online": ["run-20260102_090000-ccc"],
}


@pytest.fixture
def logged(tmp_path: Path) -> Path:
    """Three runs as W&B leaves them, with its link to the newest start."""
    for run, starts in STARTS.items():
        for start in starts:
            folder = tmp_path / run / "wandb" / start
            folder.mkdir(parents=True)
            (folder / f"run-{start.rpartition('-')[2]}.wandb").write_bytes(b":W&B")
        (tmp_path / run / "wandb" / "latest-run").symlink_to(starts[-1])
    return tmp_path


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The calls of `wandb sync`, which notes beside each log that the server has it, but for run `aaa` at first."""
    calls: list[list[str]] = []

    def run(command: list[str], check: bool) -> None:
        calls.append([Path(folder).name for folder in command[len(WANDB_SYNC) :]])
        for folder in command[len(WANDB_SYNC) :]:
            if "aaa" not in folder or len(calls) > 1:
                [log] = Path(folder).glob("*.wandb")
                log.with_suffix(".wandb.synced").touch()

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def test_a_sweep_is_uploaded_once_and_in_order(
    logged: Path, called: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["sync", str(logged)])
    assert "1 of 3 logs were not uploaded, the first of them" in capsys.readouterr().err
    assert called == [[*STARTS["seed-2"], *STARTS["seed-1"]]]
    main(["sync", str(logged)])
    assert called[1:] == [STARTS["seed-1"]]
    assert "1 runs uploaded, of 1 starts" in capsys.readouterr().out
    main(["sync", str(logged)])
    assert len(called) == 2


def test_a_single_run_is_uploaded_too(logged: Path, called: list[list[str]]) -> None:
    main(["sync", str(logged / "seed-2")])
    assert called == [STARTS["seed-2"]]


def test_wandb_itself_finds_the_same(logged: Path) -> None:
    folders = [str(log.parent) for log in offline_logs(logged)]
    done = subprocess.run([*WANDB_SYNC, "--dry-run", *folders], capture_output=True, text=True, check=True)
    assert "Would sync 3 run(s)" in done.stderr + done.stdout
    assert WANDB_SYNC[0] == sys.executable


def test_nothing_to_upload(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["sync", str(tmp_path)])
    assert "no W&B run lies there" in capsys.readouterr().err
