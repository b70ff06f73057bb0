"""What becomes of a sweep's jobs: `sweep.json` beside their folders, written by the process that starts them."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

from filelock import FileLock

from sbanet.files import write_atomically

FINISHED, SKIPPED, FAILED, INTERRUPTED, RUNNING = "finished", "skipped", "failed", "interrupted", "running"
KILLED = "killed"
"""Of a job that is noted as running, and whose sweep is gone."""
SUBMITTED = "submitted"
"""Of a job that is SLURM's."""
WAITING = "waiting"
"""Of a job of SLURM that has not begun, or goes on later."""

_OF_A_RANK = re.compile(r"^\[rank\d+\]: ")
"""What torch puts before each line of a rank's traceback."""
RECORD_FILE = "sweep.json"
LOG_FILE = "job.log"


@dataclass(kw_only=True)
class JobRecord:
    """A job of a sweep.

    Attributes:
        name: of its folder.
        folder: the path.
        overrides: of the config.
        status: `running`, `finished`, `skipped` (it had finished before), `failed`, `interrupted` or `submitted`.
        seconds: that this start took.
        error: why it failed, in a line.
        queued: its id in SLURM's queue, if it was submitted there.
        launch: arguments that with `overrides` make a sweep of this job alone.
    """

    name: str
    folder: str
    overrides: list[str] = field(default_factory=list)
    status: str = RUNNING
    seconds: float = 0.0
    error: str | None = None
    queued: str | None = None
    launch: list[str] = field(default_factory=list)

    @property
    def log(self) -> Path:
        """The file with the output of all its starts."""
        return Path(self.folder, LOG_FILE)


def job_lock(folder: Path | str) -> FileLock:
    """What the process that runs a job holds for as long as it lives."""
    return FileLock(Path(folder, ".job.lock"), timeout=0)


def note_job(record: JobRecord) -> None:
    """Put a job into the `sweep.json` of the folder above; what is there of other jobs stays."""
    path = Path(record.folder).parent / RECORD_FILE
    jobs = read_records(path.parent)
    jobs[record.name] = record
    write_atomically(path, json.dumps({name: asdict(job) for name, job in jobs.items()}, indent=2) + "\n")


def read_records(folder: Path) -> dict[str, JobRecord]:
    """The jobs of a sweep's folder by name, in the order of their first start; none where no sweep ran."""
    path = folder / RECORD_FILE
    if not path.is_file():
        return {}
    return {name: JobRecord(**entry) for name, entry in json.loads(path.read_text(encoding="utf-8")).items()}


def first_error(log: Path, offset: int) -> str:
    """What the first traceback of a log's newest part says, since later ones follow from it; else its last line."""
    with log.open("rb") as file:
        file.seek(offset)
        lines = [_OF_A_RANK.sub("", line) for line in file.read().decode("utf-8", errors="replace").splitlines()]
    said = [line.strip() for line in lines if line.strip()]
    tracebacks = [number for number, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    raised = [line for line in lines[tracebacks[0] + 1 :] if line[:1].isalpha()] if tracebacks else []
    return next(iter(raised), said[-1] if said else f"{log} is empty")
