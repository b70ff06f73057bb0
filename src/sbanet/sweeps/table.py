"""The table of a sweep's jobs."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from sbanet.sweeps.record import JobRecord
from sbanet.sweeps.standing import Standing


def job_table(records: Sequence[JobRecord], standings: Sequence[Standing]) -> Table:
    """A row a job: what it changes, what has become of it, how long it took and why it failed or waits."""
    table = Table(title=f"{len(records)} jobs")
    for column in ("job", "status", "minutes", "why"):
        table.add_column(column, overflow="fold", justify="right" if column == "minutes" else "left")
    for record, standing in zip(records, standings, strict=True):
        row = (changes(record, records), standing.status, f"{standing.seconds / 60:.1f}", standing.why)
        table.add_row(*map(escape, row))
    return table


def changes(record: JobRecord, records: Sequence[JobRecord]) -> str:
    """The overrides that not all jobs share; the name of the folder where that tells nothing."""
    shared = set.intersection(*(set(other.overrides) for other in records))
    return " ".join(override for override in record.overrides if override not in shared) or record.name
