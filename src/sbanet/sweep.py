"""`sbanet-sweep`: what becomes of the jobs of a sweep, another try for those that failed, and their way to W&B."""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sbanet.config.errors import clear_errors
from sbanet.console import console
from sbanet.errors import ConfigError, DataError
from sbanet.sweeps.record import FAILED, INTERRUPTED, KILLED, SUBMITTED, JobRecord, read_records
from sbanet.sweeps.standing import Standing, facts_of, standings
from sbanet.sweeps.table import job_table
from sbanet.sweeps.wandb_sync import offline_logs, upload

_ABOUT = """Show a sweep: sbanet-sweep status FOLDER, where FOLDER holds the folders of its jobs (runs/<experiment>).
A row a job, what it changes, what has become of it and why; below, the commands that run again what did not finish.
sbanet-sweep retry FOLDER runs them, where the sweep ran (here, or submitted once more to SLURM); overrides of Hydra
may follow (hydra.launcher.mem_gb=64). sbanet-sweep sync FOLDER uploads what the jobs have logged to W&B offline."""

TO_RETRY = (FAILED, INTERRUPTED, KILLED)


@clear_errors("sweep")
def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; `argv` is `sys.argv` unless given."""
    parser = argparse.ArgumentParser("sbanet-sweep", description=_ABOUT)
    parser.add_argument("action", choices=("status", "retry", "sync"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("overrides", nargs="*", help="of Hydra, for retry")
    arguments = parser.parse_args(sys.argv[1:] if argv is None else argv)
    if arguments.overrides and arguments.action != "retry":
        parser.error(f"{arguments.action} takes no overrides")
    if arguments.action == "sync":
        sync(arguments.folder, console())
    elif arguments.action == "retry":
        retry(arguments.folder, arguments.overrides)
    else:
        records = read_sweep(arguments.folder)
        show(records, standings(records), console())


def read_sweep(folder: Path) -> list[JobRecord]:
    """The jobs of a sweep's folder, and the runs there that batch scripts of SLURM started.

    Raises:
        DataError: no sweep ran there.
    """
    records = read_records(folder)
    started = {path.parent.name: facts_of(path.parent) for path in sorted(folder.glob("*/run.json"))}
    scripts = [
        JobRecord(
            name=name, folder=str(folder / name), overrides=str(facts.get("changes", "")).split(),
            status=SUBMITTED, queued=facts["slurm_job"],
        )
        for name, facts in started.items() if name not in records and facts.get("slurm_job")
    ]  # fmt: skip
    if not records and not scripts:
        raise DataError(f"{folder}: no sweep.json; expected the folder of a sweep (sbanet-train -m writes it)")
    return [*records.values(), *scripts]


def retry(folder: Path, overrides: Sequence[str]) -> None:
    """Launch once more what did not finish, as it was launched.

    Args:
        folder: of the sweep.
        overrides: of Hydra, such as more memory.

    Raises:
        ConfigError: an override that would make other runs, or jobs that a script of the user's submitted.
        SystemExit: with 1, where one failed again, or could not be submitted.
    """
    if others := [override for override in overrides if not override.lstrip("+~").startswith("hydra")]:
        raise ConfigError(
            f"{' '.join(others)}: makes other runs; expected overrides of Hydra, as hydra.launcher.mem_gb=64"
        )
    records = read_sweep(folder)
    again = [r for r, standing in zip(records, standings(records), strict=True) if standing.status in TO_RETRY]
    if scripts := [record.queued or "" for record in again if record.queued and not record.launch]:
        raise ConfigError(
            f"{', '.join(scripts)}: submitted by a script; submit it once more, finished runs end at once"
        )
    codes = [subprocess.run(again_command(record, overrides), check=False).returncode for record in again]
    console().print(f"{len(again)} jobs launched once more", highlight=False)
    if any(codes):
        sys.exit(1)


def again_command(record: JobRecord, overrides: Sequence[str] = ()) -> list[str]:
    """The command that launches a job alone as its sweep did."""
    return [sys.executable, "-m", "sbanet.train", "--multirun", *record.launch, *record.overrides, *overrides]


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


def show(records: Sequence[JobRecord], standings: Sequence[Standing], out: Console) -> None:
    """Print the table, the counts, and how to run again what did not finish."""
    out.print(job_table(records, standings))
    counts = Counter(standing.status for standing in standings)
    out.print(", ".join(f"{count} {status}" for status, count in counts.items()), highlight=False)
    for record, standing in zip(records, standings, strict=True):
        if standing.status in TO_RETRY:
            command = shlex.join(["sbanet-train", *record.overrides])
            out.print(command, highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
