"""The table of a sweep's jobs."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from sbanet.sweeps.record import JobRecord, status_now


def job_table(records: Sequence[JobRecord]) -> Table:
    """A row a job: what it changes, how it ended, how long it took and why it failed."""
    table = Table(title=f"{len(records)} jobs")
    for column in ("job", "status", "minutes", "why"):
        table.add_column(column, overflow="fold", justify="right" if column == "minutes" else "left")
    for record in records:
        row = (changes(record, records), status_now(record), f"{record.seconds / 60:.1f}", record.error or "")
        table.add_row(*map(escape, row))
    return table


def changes(record: JobRecord, records: Sequence[JobRecord]) -> str:
    """The overrides that not all jobs share; the name of the folder where that tells nothing."""
    shared = set.intersection(*(set(other.overrides) for other in records))
    return " ".join(override for override in record.overrides if override not in shared) or record.name
