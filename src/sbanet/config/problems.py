"""What the check finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong with a config.

    Attributes:
        key: the dotted config key that it is about.
        text: what came, what was expected, what to do.
    """

    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.key}: {self.text}"


def problem_table(problems: Sequence[Problem]) -> Table:
    """The problems as a table, one a row, in the order of their keys."""
    table = Table(title=f"{len(problems)} problem{'s' * (len(problems) != 1)}", title_justify="left")
    table.add_column("config key", overflow="fold", style="bold")
    table.add_column("problem", overflow="fold")
    for problem in sorted(problems):
        table.add_row(Text(problem.key), Text(problem.text))
    return table
