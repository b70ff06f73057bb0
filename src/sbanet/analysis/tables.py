"""Tables of scores: which rows, which numbers, and under which protocol; as Markdown and for the terminal.

Cells stay numbers until they are printed, so one table serves the terminal, Markdown and a page that sorts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import rich.box
import rich.table
from rich.text import Text

from sbanet.analysis.groups import Grouping
from sbanet.analysis.rows import Row
from sbanet.scores import THRESHOLDS, Scores, score

PROTOCOLS = {
    "network": "masks compared at the network's size, as papers report",
    "native": "masks compared at the image's own size",
}
"""The two ways of measuring, and what a caption says of them."""

Cell = str | float | int | None


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
        better, column_ = self.columns[column].better, self.columns[column]
        values = {
            row: float(column_.text(cells[column]))
            for row, cells in enumerate(self.rows)
            if row not in self.controls and isinstance(cells[column], (int, float))
        }
        if not better or len(values) < 2:
            return frozenset()
        top = max(values.values(), key=lambda value: better * value)
        return frozenset(row for row, value in values.items() if value == top)

    def is_text(self, column: int) -> bool:
        """Whether a column holds words; numbers are set to the right."""
        return any(isinstance(cells[column], str) for cells in self.rows)

    def markdown(self) -> str:
        """A GitHub table under its title and note, the best values in bold."""
        lines = [f"### {self.title}", "", self.note, ""]
        lines.append("| " + " | ".join(_cell(column.title) for column in self.columns) + " |")
        lines.append("|" + "|".join("---" if self.is_text(i) else "--:" for i in range(len(self.columns))) + "|")
        best = [self.best(column) for column in range(len(self.columns))]
        for row, cells in enumerate(self.rows):
            texts = [_cell(column.text(cell)) for column, cell in zip(self.columns, cells, strict=True)]
            bold = [f"**{text}**" if row in best[i] else text for i, text in enumerate(texts)]
            lines.append("| " + " | ".join(bold) + " |")
        return "\n".join(lines) + "\n"

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
        best = [self.best(column) for column in range(len(self.columns))]
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


def measure(predictions: pd.DataFrame, protocol: str, thresholds: Sequence[float] = THRESHOLDS) -> Scores:
    """The scores of a predictions frame (or of a part of one).

    Args:
        predictions: with `<protocol>_I` and `<protocol>_U`.
        protocol: `network` or `native`.
        thresholds: the X of Pr@X.

    Raises:
        ValueError: an unknown protocol, or what `sbanet.scores.score` refuses.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol: got {protocol!r}, expected one of {', '.join(PROTOCOLS)}")
    return score(predictions[f"{protocol}_I"], predictions[f"{protocol}_U"], thresholds)


def summary(predictions: Mapping[str, pd.DataFrame], protocol: str = "network") -> dict[str, Any]:
    """The scores as plain data for a JSON file, fractions in [0, 1].

    Args:
        predictions: name of the model or condition -> its predictions.
        protocol: `network` or `native`.

    Returns:
        `{"models": {name: {"mIoU": ..., "oIoU": ..., "Pr@0.5": ..., ..., "count": ..., "empty": ...}}}`.
    """
    return {"models": {name: measure(frame, protocol).as_dict() for name, frame in predictions.items()}}


def comparison(rows: Sequence[Row], protocol: str = "network", thresholds: Sequence[float] = (0.5, 0.7, 0.9)) -> Table:
    """One line a row: what it scores (in percent) and what it costs.

    Args:
        rows: models, then controls, in the order of the table.
        protocol: `network` or `native`.
        thresholds: the X of the Pr@X columns.
    """
    titles = ("mIoU", "oIoU", *(f"Pr@{threshold:g}" for threshold in thresholds))
    columns = (
        Column("Model"),
        *(Column(title, "{:.2f}", 1) for title in titles),
        Column("Params (M)", "{:.2f}"),
        Column("Mult-adds (G)", "{:.2f}"),
        Column("Train images/s", "{:.0f}"),
    )
    measured = [measure(row.predictions, protocol, thresholds) for row in rows]
    cells = []
    for row, scores in zip(rows, measured, strict=True):
        values = scores.as_dict()
        cells.append((row.name, *(100 * values[title] for title in titles), *_costs(row)))
    note = _note(rows, protocol, "in percent")
    empty = {row.name: scores.empty for row, scores in zip(rows, measured, strict=True) if scores.empty}
    if empty:
        note += " Nothing to find and nothing found, counted as IoU 0: " + _listed(empty) + "."
    return Table("Comparison", note, columns, tuple(cells), controls_of(rows))


def breakdown(
    rows: Sequence[Row], grouping: Grouping, title: str, protocol: str = "network", metric: str = "mIoU"
) -> Table:
    """One line a group, one column a row: where each model is strong.

    Args:
        rows: what to compare; the groups, their order and n are those of the first.
        grouping: one of `sbanet.analysis.groups`.
        title: the table's title and, in lower case, the heading of its groups ("Skill").
        protocol: `network` or `native`.
        metric: a key of `Scores.as_dict`, shown in percent.

    Raises:
        ValueError: an unknown metric or protocol.
    """
    groups = [grouping(row.predictions) for row in rows]
    columns = (Column(title), Column("n"), *(Column(row.name, "{:.1f}") for row in rows))
    cells: list[tuple[Cell, ...]] = []
    for group in groups[0].order:
        values = []
        for row, members in zip(rows, groups, strict=True):
            positions = members.rows(group)
            values.append(_percent(row.predictions.iloc[positions], protocol, metric) if len(positions) else None)
        cells.append((group, len(groups[0].rows(group)), *values))
    return Table(f"{metric} by {title.lower()}", _note(rows, protocol, "in percent"), columns, tuple(cells))


def _percent(predictions: pd.DataFrame, protocol: str, metric: str) -> float:
    values = measure(predictions, protocol).as_dict()
    if metric not in values:
        raise ValueError(f"metric: got {metric!r}, expected one of {', '.join(values)}")
    return 100 * values[metric]


def _costs(row: Row) -> tuple[Cell, Cell, Cell]:
    """Parameters (millions), multiply-adds (billions), training images a second; a control repeats none."""
    facts = {} if row.control else row.run.facts
    parameters, adds, speed = (facts.get(key) for key in ("parameters", "multiply_adds", "train_images_per_second"))
    return (
        parameters / 1e6 if parameters is not None else None,
        adds / 1e9 if adds is not None else None,
        speed,
    )


def _note(rows: Sequence[Row], protocol: str, unit: str) -> str:
    """Dataset, split, protocol and n; and a warning where the rows are not over the same samples."""
    first = rows[0].predictions
    split = ", ".join(map(str, first["split"].unique()))
    dataset = ", ".join(map(str, first["dataset"].unique()))
    note = f"{dataset}, {split}, {len(first):,} expressions; {unit}; protocol {protocol}: {PROTOCOLS[protocol]}."
    samples = set(first["sample_id"])
    others = [row for row in rows if set(row.predictions["sample_id"]) != samples]
    if any(not row.control for row in others):
        counts = {row.name: len(row.predictions) for row in rows if not row.control}
        note += f" NOT COMPARABLE, the rows cover different samples: {_listed(counts)}."
    fewer = {row.name: len(row.predictions) for row in others if row.control}
    if fewer:
        note += f" Controls on a part of the samples: {_listed(fewer)}."
    return note


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def controls_of(rows: Sequence[Row]) -> frozenset[int]:
    """The positions of the controls among some rows, for `Table.controls`."""
    return frozenset(index for index, row in enumerate(rows) if row.control)


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
