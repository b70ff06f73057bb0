"""Tables of scores: which rows, which numbers, and under which protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sbanet.analysis.groups import Grouping
from sbanet.analysis.rows import Row
from sbanet.analysis.table import Cell, Column, Mean, Table
from sbanet.scores import THRESHOLDS, Scores, score

PROTOCOLS = {
    "network": "masks compared at the network's size, as papers report",
    "native": "masks compared at the image's own size",
}
"""The two ways of measuring, and what a caption says of them."""

SHOWN = (0.5, 0.7, 0.9)
"""The X of the Pr@X that tables show."""


def measure(predictions: pd.DataFrame, protocol: str, thresholds: Sequence[float] = THRESHOLDS) -> Scores:
    """The scores of a predictions frame (or of a part of one).

    Args:
        predictions: with `<protocol>_I` and `<protocol>_U`.
        protocol: `network` or `native`.
        thresholds: the X of Pr@X.

    Raises:
        ValueError: an unknown protocol, or what `sbanet.scores.score` refuses.
    """
    _known(protocol)
    return score(predictions[f"{protocol}_I"], predictions[f"{protocol}_U"], thresholds)


def measured(row: Row, protocol: str, thresholds: Sequence[float] = THRESHOLDS) -> list[Scores]:
    """The scores of each seed of a row; raises as `measure` does."""
    _known(protocol)
    return [score(*counts, thresholds) for counts in row.counts(protocol)]


def summary(predictions: Mapping[str, pd.DataFrame], protocol: str = "network") -> dict[str, Any]:
    """The scores as plain data for a JSON file, fractions in [0, 1].

    Args:
        predictions: name of the model or condition -> its predictions.
        protocol: `network` or `native`.

    Returns:
        `{"models": {name: {"mIoU": ..., "oIoU": ..., "Pr@0.5": ..., ..., "count": ..., "empty": ...}}}`.
    """
    return {"models": {name: measure(frame, protocol).as_dict() for name, frame in predictions.items()}}


def comparison(
    rows: Sequence[Row], protocol: str = "network", thresholds: Sequence[float] = SHOWN, baseline: Row | None = None
) -> Table:
    """One line a row: what it scores (in percent, mean and standard deviation over its seeds) and what it costs.

    Args:
        rows: models, then controls, in the order of the table.
        protocol: `network` or `native`.
        thresholds: the X of the Pr@X columns.
        baseline: the row that a column of changes is against.
    """
    titles = ("mIoU", "oIoU", *(f"Pr@{threshold:g}" for threshold in thresholds))
    every = [measured(row, protocol, thresholds) for row in rows]
    means = [{title: _over_seeds(scores, title) for title in titles} for scores in every]
    seeded = any(len(row.runs) > 1 for row in rows)
    reference = None if baseline is None else means[[row.name for row in rows].index(baseline.name)]["mIoU"].value
    columns = (
        Column("Model"),
        *([Column("Seeds")] if seeded else []),
        *(Column(title, "{:.2f}", 1) for title in titles),
        *([Column("Change of mIoU", "{:+.2f}")] if reference is not None else []),
        Column("Params (M)", "{:.2f}"),
        Column("Mult-adds (G)", "{:.2f}"),
        Column("Train images/s", "{:.0f}"),
    )
    cells: list[tuple[Cell, ...]] = []
    for row, mean in zip(rows, means, strict=True):
        change = [] if reference is None else [None if row is baseline else mean["mIoU"].value - reference]
        seeds = [len(row.runs)] if seeded else []
        cells.append((row.name, *seeds, *(mean[title] for title in titles), *change, *_costs(row)))
    note = _note(rows, protocol, "in percent, mean ± standard deviation over the seeds" if seeded else "in percent")
    if baseline is not None:
        note += f" Changes are against {baseline.name}."
    empty = {row.name: max(one.empty for one in scores) for row, scores in zip(rows, every, strict=True)}
    if any(empty.values()):
        some = {name: count for name, count in empty.items() if count}
        note += " Nothing to find and nothing found, counted as IoU 0: " + _listed(some) + "."
    return Table("Comparison", note, columns, tuple(cells), controls_of(rows))


def breakdown(
    rows: Sequence[Row], grouping: Grouping, title: str, protocol: str = "network", metric: str = "mIoU"
) -> Table:
    """One line a group, one column a row: where each model is strong, on average over its seeds.

    Args:
        rows: what to compare; the groups, their order and n are those of the first.
        grouping: one of `sbanet.analysis.groups`.
        title: the table's title and, in lower case, the heading of its groups ("Skill").
        protocol: `network` or `native`.
        metric: a key of `Scores.as_dict`, shown in percent.

    Raises:
        ValueError: an unknown metric or protocol.
    """
    _known(protocol)
    first = grouping(rows[0].predictions)
    groups = [first if row.same_samples(rows[0]) else grouping(row.predictions) for row in rows]
    distinct = {id(members): members for members in groups}
    columns = (Column(title), Column("n"), *(Column(row.name, "{:.1f}") for row in rows))
    counts = [row.counts(protocol) for row in rows]
    cells: list[tuple[Cell, ...]] = []
    for group in first.order:
        positions = {key: members.rows(group) for key, members in distinct.items()}
        values: list[Cell] = []
        for seeds, members in zip(counts, groups, strict=True):
            chosen = positions[id(members)]
            parts = [score(inter[chosen], union[chosen]) for inter, union in seeds] if len(chosen) else []
            values.append(_over_seeds(parts, metric).value if parts else None)
        cells.append((group, len(positions[id(first)]), *values))
    return Table(f"{metric} by {title.lower()}", _note(rows, protocol, "in percent"), columns, tuple(cells))


def _known(protocol: str) -> None:
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol: got {protocol!r}, expected one of {', '.join(PROTOCOLS)}")


def _over_seeds(scores: Sequence[Scores], metric: str) -> Mean:
    """A metric in percent."""
    values = [one.as_dict() for one in scores]
    if metric not in values[0]:
        raise ValueError(f"metric: got {metric!r}, expected one of {', '.join(values[0])}")
    return Mean.of([100 * value[metric] for value in values])


def _costs(row: Row) -> tuple[Cell, Cell, Cell]:
    """Parameters (millions), multiply-adds (billions), training images a second; a control repeats none."""
    facts = {} if row.control else row.run.facts
    parameters, adds = facts.get("parameters"), facts.get("multiply_adds")
    speeds = [speed for run in row.runs if (speed := run.facts.get("train_images_per_second")) is not None]
    return (
        parameters / 1e6 if parameters is not None else None,
        adds / 1e9 if adds is not None else None,
        float(np.mean(speeds)) if speeds and not row.control else None,
    )


def _note(rows: Sequence[Row], protocol: str, unit: str) -> str:
    """Dataset, split, protocol and n; and a warning where the rows are not over the same samples."""
    first = rows[0].predictions
    split = ", ".join(map(str, first["split"].unique()))
    dataset = ", ".join(map(str, first["dataset"].unique()))
    note = f"{dataset}, {split}, {len(first):,} expressions; {unit}; protocol {protocol}: {PROTOCOLS[protocol]}."
    key = rows[0].run.samples_key(rows[0].file)
    others = [row for row in rows if not row.covers(first, key)]
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
