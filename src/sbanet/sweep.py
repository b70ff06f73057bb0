"""`sbanet-sweep`: what became of the jobs of a sweep, and their way to W&B."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sbanet.config.errors import clear_errors
from sbanet.console import console
from sbanet.errors import DataError
from sbanet.sweeps.record import FAILED, INTERRUPTED, KILLED, JobRecord, read_records, status_now
from sbanet.sweeps.table import job_table
from sbanet.sweeps.wandb_sync import offline_logs, upload

_ABOUT = """Show a sweep: sbanet-sweep status FOLDER, where FOLDER holds the folders of its jobs (runs/<experiment>).
A row a job, what it changes, how it ended and why; below, the commands that run again what did not finish.
sbanet-sweep sync FOLDER uploads what its jobs have logged to W&B offline (logger=wandb)."""


@clear_errors("sweep")
def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; `argv` is `sys.argv` unless given."""
    parser = argparse.ArgumentParser("sbanet-sweep", description=_ABOUT)
    parser.add_argument("action", choices=("status", "sync"))
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args(sys.argv[1:] if argv is None else argv)
    if arguments.action == "sync":
        sync(arguments.folder, console())
    else:
        show(read_sweep(arguments.folder), console())


def read_sweep(folder: Path) -> list[JobRecord]:
    """The jobs of a sweep's folder.

    Raises:
        DataError: no sweep ran there.
    """
    records = list(read_records(folder).values())
    if not records:
        raise DataError(f"{folder}: no sweep.json; expected the folder of a sweep (sbanet-train -m writes it)")
    return records


def sync(folder: Path, out: Console) -> None:
    """Upload what was logged offline; what the server has is left alone.

    Raises:
        DataError: there is nothing, or W&B did not take all of it.
    """
    waiting = offline_logs(folder)
    if waiting:
        upload(waiting)
    runs = {log.name for log in waiting}
    out.print(f"{len(runs)} runs uploaded, of {len(waiting)} starts", highlight=False)


def show(records: Sequence[JobRecord], out: Console) -> None:
    """Print the table, the counts, and how to run again what did not finish."""
    statuses = [status_now(record) for record in records]
    out.print(job_table(records))
    counts = Counter(statuses)
    out.print(", ".join(f"{counts[status]} {status}" for status in dict.fromkeys(statuses)), highlight=False)
    for record, status in zip(records, statuses, strict=True):
        if status in (FAILED, INTERRUPTED, KILLED):
            command = shlex.join(["sbanet-train", *record.overrides])
            out.print(command, highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
