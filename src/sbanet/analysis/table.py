"""A finished table, and how it is written: Markdown, CSV and the terminal (LaTeX is in `sbanet.analysis.latex`).

Cells stay numbers until they are printed, so one table serves them all, and a page that sorts.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import rich.box
import rich.table
from rich.text import Text


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over seeds.

    Attributes:
        value: the mean.
        spread: the standard deviation over the seeds (of a sample: n - 1); None for a single seed.
    """

    value: float
    spread: float | None = None

    @classmethod
    def of(cls, values: Sequence[float]) -> Mean:
        """The mean and spread of a value a seed."""
        return cls(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None)


Cell = str | float | int | Mean | None


def number(cell: Cell) -> float | None:
    """What a cell sorts by; None for words and where there is no value."""
    return cell.value if isinstance(cell, Mean) else float(cell) if isinstance(cell, int | float) else None


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, how its numbers are written, and which end is better.

    Attributes:
        title: the heading; units belong in it.
        form: a format specification ("{:.2f}").
        better: 1 where more is better, -1 where less is, 0 where neither.
    """

    title: str
    form: str = "{}"
    better: int = 0

    def text(self, cell: Cell) -> str:
        """A cell as it is printed; "-" where there is no value."""
        if isinstance(cell, Mean):
            spread = "" if cell.spread is None else f" ± {self.form.format(cell.spread)}"
            return self.form.format(cell.value) + spread
        return "-" if cell is None else cell if isinstance(cell, str) else self.form.format(cell)


@dataclass(frozen=True, slots=True)
class Table:
    """A finished table; cells stay numbers until they are printed.

    Attributes:
        title: one line.
        note: protocol, split and what else a reader must know to quote a number.
        columns: one a cell of each row.
        rows: the cells.
        controls: positions of the rows that do not compete for the best value.
    """

    title: str
    note: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    controls: frozenset[int] = field(default_factory=frozenset)

    def best(self, column: int) -> frozenset[int]:
        """The rows with the column's best value as printed; none where there is nothing to compare."""
        better, form = self.columns[column].better, self.columns[column].form
        values = {
            row: float(form.format(value))
            for row, cells in enumerate(self.rows)
            if row not in self.controls and (value := number(cells[column])) is not None
        }
        if not better or len(values) < 2:
            return frozenset()
        top = max(values.values(), key=lambda value: better * value)
        return frozenset(row for row, value in values.items() if value == top)

    def bests(self) -> list[frozenset[int]]:
        """`best` of every column."""
        return [self.best(column) for column in range(len(self.columns))]

    def is_text(self, column: int) -> bool:
        """Whether a column holds words; numbers are set to the right."""
        return any(isinstance(cells[column], str) for cells in self.rows)

    def markdown(self) -> str:
        """A GitHub table under its title and note, the best values in bold."""
        lines = [f"### {self.title}", "", self.note, ""]
        lines.append("| " + " | ".join(_escaped(column.title) for column in self.columns) + " |")
        lines.append("|" + "|".join("---" if self.is_text(i) else "--:" for i in range(len(self.columns))) + "|")
        best = self.bests()
        for row, cells in enumerate(self.rows):
            texts = [_escaped(column.text(cell)) for column, cell in zip(self.columns, cells, strict=True)]
            bold = [f"**{text}**" if row in best[i] else text for i, text in enumerate(texts)]
            lines.append("| " + " | ".join(bold) + " |")
        return "\n".join(lines) + "\n"

    def _repr_markdown_(self) -> str:
        """What a notebook shows."""
        return self.markdown()

    def csv(self) -> str:
        """Comma-separated values with all their digits; a mean over seeds has a second column, its spread."""
        spread = [any(isinstance(cells[i], Mean) and cells[i].spread is not None for cells in self.rows)  # type: ignore[union-attr]
                  for i in range(len(self.columns))]  # fmt: skip
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        titles = [[column.title, f"{column.title} std"] for column in self.columns]
        writer.writerow([title for pair, two in zip(titles, spread, strict=True) for title in pair[: 1 + two]])
        for cells in self.rows:
            pairs = [(cell.value, cell.spread) if isinstance(cell, Mean) else (cell, None) for cell in cells]
            writer.writerow([value for pair, two in zip(pairs, spread, strict=True) for value in pair[: 1 + two]])
        return text.getvalue()

    def rich(self) -> rich.table.Table:
        """For the terminal, the best values in bold."""
        table = rich.table.Table(
            title=self.title,
            caption=self.note,
            title_justify="left",
            caption_justify="left",
            box=rich.box.SIMPLE_HEAD,
            pad_edge=False,
            collapse_padding=True,
        )
        for index, column in enumerate(self.columns):
            # Numbers stay whole in a narrow terminal: their titles go over two lines, and names wrap first.
            words = self.is_text(index)
            title = Text(column.title if words else column.title.replace(" ", "\n"))
            table.add_column(title, justify="left" if words else "right", no_wrap=not words)
        best = self.bests()
        for row, cells in enumerate(self.rows):
            style = "dim" if row in self.controls else ""
            table.add_row(
                *(
                    Text(column.text(cell), style="bold" if row in best[i] else "")
                    for i, (column, cell) in enumerate(zip(self.columns, cells, strict=True))
                ),
                style=style,
            )
        return table


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
