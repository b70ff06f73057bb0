"""What a report says of some rows: all its tables, in their order, whatever they are written as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sbanet.analysis.agreement import disagreements
from sbanet.analysis.changes import changes
from sbanet.analysis.groups import by_category, by_length, by_size, by_skill
from sbanet.analysis.outcomes import outcome_table
from sbanet.analysis.rows import Row
from sbanet.analysis.significance import RESAMPLES
from sbanet.analysis.table import Table, number
from sbanet.analysis.tables import breakdown, comparison


@dataclass(frozen=True, slots=True)
class Contents:
    """The tables of a report, and what a reader must know before them.

    Attributes:
        warnings: what should be equal in all runs and is not, a sentence each.
        comparison: scores and costs.
        changes: against the baseline; None without one.
        outcomes: how the predictions end.
        skills: mIoU by what a sentence asks for.
        sizes: mIoU by the referent's share of the image.
        lengths: mIoU by the number of words.
        categories: mIoU by the referent's category.
    """

    warnings: tuple[str, ...]
    comparison: Table
    changes: Table | None
    outcomes: Table
    skills: Table
    sizes: Table
    lengths: Table
    categories: Table

    def tables(self) -> dict[str, Table]:
        """Every table by a short name, fit for a file; the terminal shows the first ones."""
        named = {
            "comparison": self.comparison, "changes": self.changes, "skills": self.skills, "sizes": self.sizes,
            "lengths": self.lengths, "categories": self.categories, "outcomes": self.outcomes,
        }  # fmt: skip
        return {name: table for name, table in named.items() if table is not None}


def contents(
    rows: Sequence[Row],
    protocol: str = "network",
    *,
    baseline: Row | None = None,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
    seed: int = 0,
) -> Contents:
    """Computes all that a report says in tables.

    Args:
        rows: models, then controls; at least one model.
        protocol: `network` or `native`, for every number.
        baseline: the model that changes are against.
        resamples: draws of the bootstrap.
        confidence: of its intervals, in (0, 1).
        seed: of its draws.

    Raises:
        RunFolderError: a run lacks a file of its predictions.
        ValueError: no model, or an unknown protocol.
    """
    models = [row for row in rows if not row.control]
    if not models:
        raise ValueError(f"rows: got {[row.name for row in rows]}, expected at least one that is no control")
    changed = None
    if baseline is not None:
        changed = changes(models, baseline, protocol, resamples=resamples, confidence=confidence, seed=seed)
    return Contents(
        warnings=tuple(disagreements(models)),
        comparison=comparison(rows, protocol, baseline=baseline),
        changes=changed,
        outcomes=outcome_table(rows, protocol),
        skills=breakdown(rows, by_skill, "Skill", protocol),
        sizes=breakdown(models, by_size, "Size", protocol),
        lengths=breakdown(models, by_length, "Words", protocol),
        categories=breakdown(models, by_category, "Category", protocol),
    )


def ranking(table: Table) -> list[tuple[float, str]]:
    """(mIoU in percent, name) of the models of a comparison, the best first."""
    place = [column.title for column in table.columns].index("mIoU")
    models = [cells for row, cells in enumerate(table.rows) if row not in table.controls]
    return sorted(((number(cells[place]) or 0.0, str(cells[0])) for cells in models), reverse=True)


def contrast(rows: Sequence[Row], table: Table, baseline: Row | None = None) -> tuple[Row, ...]:
    """The two models whose pictures tell most: the best, and the baseline, else the second best.

    Args:
        rows: as of the table.
        table: their comparison.
        baseline: the model that others are compared with.

    Returns:
        One row where there is no other.
    """
    names = [name for _, name in ranking(table)]
    best = next((name for name in names if baseline is None or name != baseline.name), names[0])
    rest = [name for name in names if name != best]
    chosen = [best, *([baseline.name] if baseline is not None and baseline.name != best else rest[:1])]
    return tuple(next(row for row in rows if row.name == name) for name in chosen)
