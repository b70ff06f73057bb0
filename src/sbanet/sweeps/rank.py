"""What submitit calls in each task of a SLURM job. It imports little, since each task waits for it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from sbanet.sweeps.process_tree import without_rank
from sbanet.sweeps.record import LOG_FILE


def become(command: Sequence[str], folder: str) -> None:
    """Turn this process, a task of a SLURM job, into a rank of a run.

    Its output goes on in the run's folder: `job.log`, of further ranks `job-rank-1.log` and so on.

    Args:
        command: of the run.
        folder: of the run.
    """
    rank = int(os.environ["SLURM_PROCID"])
    log = Path(folder, LOG_FILE if rank == 0 else f"job-rank-{rank}.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.execve(command[0], list(command), environment_of_a_rank(os.environ))


def environment_of_a_rank(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of a task without those of the login node's ranks, and with its threads."""
    own = without_rank(environment)
    if "SLURM_CPUS_PER_TASK" in own:
        own.setdefault("OMP_NUM_THREADS", own["SLURM_CPUS_PER_TASK"])
    return own
