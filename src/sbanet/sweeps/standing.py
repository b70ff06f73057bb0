"""What has become of a sweep's jobs by now: of their processes here, of SLURM, and of what the runs note themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import Timeout

from sbanet.errors import ConfigError
from sbanet.sweeps.queue import Place, ended, queue
from sbanet.sweeps.record import (
    FAILED,
    FINISHED,
    INTERRUPTED,
    KILLED,
    RUNNING,
    SUBMITTED,
    WAITING,
    JobRecord,
    first_error,
    job_lock,
)
from sbanet.training.run_folder import RunFolder


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What has become of a job.

    Attributes:
        status: one of `sbanet.sweeps.record`.
        why: it failed, or waits; empty where there is nothing to say.
        seconds: that it has computed.
    """

    status: str
    why: str = ""
    seconds: float = 0.0


def standings(records: Sequence[JobRecord]) -> list[Standing]:
    """What has become of jobs; the queue is asked once for all."""
    submitted = [record.queued for record in records if record.status == SUBMITTED and record.queued]
    places = queue() if submitted else None
    if places is not None:
        places = ended([job for job in submitted if job not in places]) | places
    return [_of_slurm(record, places) if record.status == SUBMITTED else _of_here(record) for record in records]


def facts_of(folder: Path) -> dict[str, Any]:
    """What a run notes of itself; nothing where it never began."""
    try:
        return RunFolder(folder).facts or {} if folder.is_dir() else {}
    except ConfigError:  # damaged, which its next start says
        return {}


def _of_here(record: JobRecord) -> Standing:
    status = KILLED if record.status == RUNNING and not _is_held(record) else record.status
    return Standing(status=status, why=record.error or "", seconds=record.seconds)


def _is_held(record: JobRecord) -> bool:
    """Whether a process runs the job."""
    if not Path(record.folder).is_dir():
        return False
    try:
        with job_lock(record.folder):
            return False
    except (Timeout, OSError):
        return True


def _of_slurm(record: JobRecord, places: dict[str, Place] | None) -> Standing:
    facts = facts_of(Path(record.folder))
    seconds, status = float(facts.get("seconds", 0.0)), facts.get("status")
    if places is None:
        return Standing(status=status or SUBMITTED, why="no SLURM answers here", seconds=seconds)
    place = places.get(record.queued or "")
    if place is not None and not place.ended:
        why = place.reason if place.waits and place.reason != "None" else ""
        return Standing(status=WAITING if place.waits else RUNNING, why=why, seconds=seconds)
    if status == FINISHED:
        return Standing(status=FINISHED, seconds=seconds)
    how = place.words if place else "no longer in the queue"
    if status == FAILED:
        return Standing(status=FAILED, why=str(facts.get("error") or how), seconds=seconds)
    if status == INTERRUPTED:
        return Standing(status=INTERRUPTED, why=how, seconds=seconds)
    said = f"; {first_error(record.log, 0)}" if record.log.is_file() else ""
    return Standing(status=KILLED, why=f"{how}{said}", seconds=seconds)
