"""What SLURM says of jobs."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

SQUEUE = ("squeue", "--me", "--array", "--noheader", "--states=all", "--format=%i|%T|%r")
SACCT = ("sacct", "--noheader", "--parsable2", "--allocations", "--array", "--format=JobID,State")

WAITING_STATES = {"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT"}
RUNNING_STATES = {
    "RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "STOPPED", "STAGE_OUT", "SIGNALING", "RESIZING",
}  # fmt: skip

SECONDS_TO_ANSWER = 60


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a job is.

    Attributes:
        state: in SLURM's words, such as `PENDING`.
        reason: that it waits for, or ended by; `None` (the word) where there is none.
    """

    state: str
    reason: str = "None"

    @property
    def waits(self) -> bool:
        """Whether it has not begun, or was put back."""
        return self.state in WAITING_STATES

    @property
    def ended(self) -> bool:
        """Whether it is over, well or not."""
        return not self.waits and self.state not in RUNNING_STATES

    @property
    def words(self) -> str:
        """The state, as in a sentence: `out of memory`."""
        return self.state.lower().replace("_", " ")


def queue() -> dict[str, Place] | None:
    """The user's jobs by their ids (`17`, of an array `17_3`), those that ended minutes ago too.

    Returns:
        None where no SLURM answers.
    """
    lines = _answer(SQUEUE)
    if lines is None:
        return None
    entries = (line.split("|") for line in lines)
    return {job: Place(state=state, reason=reason) for job, state, reason in entries}


def ended(jobs: Sequence[str]) -> dict[str, Place]:
    """How jobs ended that the queue has forgotten; nothing where the cluster keeps no account."""
    lines = _answer((*SACCT, f"--jobs={','.join(jobs)}")) if jobs else []
    entries = (line.split("|") for line in lines or [])
    return {job: Place(state=state.split()[0]) for job, state in entries}  # `CANCELLED by 1000`


def _answer(command: Sequence[str]) -> list[str] | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_TO_ANSWER, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else None
