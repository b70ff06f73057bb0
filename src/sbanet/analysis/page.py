"""One HTML page that holds everything it shows: tables, charts, pictures and the scripts that draw them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from sbanet.analysis import charts
from sbanet.analysis.contents import Contents, contents, contrast, ranking
from sbanet.analysis.gallery import Gallery, Section
from sbanet.analysis.rows import Row
from sbanet.analysis.table import Cell, Table, number
from sbanet.analysis.tables import measure
from sbanet.files import write_atomically

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Control:
    """A control beside its model: both mIoUs, and the share that the control keeps, all in percent."""

    name: str
    model: str
    model_score: float
    score: float
    kept: float


def write_page(
    path: Path,
    rows: Sequence[Row],
    *,
    title: str = "Comparison of runs",
    protocol: str = "network",
    pictures: int = 3,
    remarks: Sequence[str] = (),
    said: Contents | None = None,
    pair: Sequence[Row] = (),
) -> Path:
    """Writes the page.

    Args:
        path: of the HTML file; its folder is made.
        rows: what to compare (see `sbanet.analysis.rows.rows_of`); at least one that is no control.
        title: the page's heading.
        protocol: `network` or `native`, for every number on the page.
        pictures: samples of each outcome to show for each row of the pair.
        remarks: sentences that a reader must see first (a run that was left out).
        said: the tables, where they have been computed, with the same protocol.
        pair: the models whose pictures are shown side by side; by default the best two.

    Returns:
        `path`.

    Raises:
        RunFolderError: a run lacks a file of its predictions.
        ValueError: no row, or an unknown protocol.
    """
    write_atomically(path, render(rows, title, protocol, pictures, remarks, said, pair))
    log.info("wrote %s", path)
    return path


def render(
    rows: Sequence[Row],
    title: str,
    protocol: str,
    pictures: int,
    remarks: Sequence[str] = (),
    said: Contents | None = None,
    pair: Sequence[Row] = (),
) -> str:
    """The page as text; the arguments of `write_page`."""
    said = said or contents(rows, protocol)
    pair = pair or contrast(rows, said.comparison)
    models = [row for row in rows if not row.control]
    colour = charts.colours(rows)
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            title=title,
            remarks=[*said.warnings, *remarks],
            colour=colour,
            lead=_lead(said.comparison),
            said=said,
            controls=controls(rows, protocol),
            charts=_charts(models, said, colour),
            gallery=_gallery(rows, pair, protocol, pictures),
            runs=[(f"{row.name}, seed {run.facts.get('seed')}", run) for row in models for run in row.runs],
            plotly=Markup(get_plotlyjs()),
        )
    )


def controls(rows: Sequence[Row], protocol: str) -> list[Control]:
    """Every control beside the row of its own run, both measured on the samples of the control.

    Not every sample has a control (an image with a single object has no other sentence to lend). Controls
    whose model is not among the rows are left out.
    """
    found = []
    for control in rows:
        model = next((row for row in rows if control.run in row.runs and not row.control), None)
        if control.control and model is not None:
            own = [frame for run, frame in zip(model.runs, model.frames, strict=True) if run in control.runs]
            pairs = list(zip(own, control.frames, strict=True))
            same = [frame[frame["sample_id"].isin(asked["sample_id"])] for frame, asked in pairs]
            whole = 100 * float(np.mean([measure(frame, protocol).mIoU for frame in same]))
            left = 100 * float(np.mean([measure(frame, protocol).mIoU for frame in control.frames]))
            kept = 100 * left / whole if whole else 100.0
            found.append(Control(control.name, model.name, whole, left, kept))
    return found


def _lead(table: Table) -> tuple[str, str, float, float] | None:
    """(best model, second, mIoU of the best, its lead) among the models; None without a rival."""
    ranked = ranking(table)
    if len(ranked) < 2:
        return None
    (best, first), (next_best, second) = ranked[:2]
    return first, second, best, best - next_best


def _charts(models: Sequence[Row], said: Contents, colour: dict[str, str]) -> dict[str, go.Figure]:
    """The charts that have something to show."""
    figures = {
        "costs": charts.costs(said.comparison, colour),
        "skills": charts.bars(said.skills, colour),
        "loss": charts.curves(models, "train/loss", "training loss", colour),
        "val": charts.curves(models, "val/mIoU", "mIoU on val (%)", colour, factor=100),
    }
    if said.changes:
        figures["changes"] = charts.intervals(said.changes, colour)
    return {name: figure for name, figure in figures.items() if figure.data}


def _gallery(rows: Sequence[Row], pair: Sequence[Row], protocol: str, count: int) -> list[Section]:
    if count == 0:
        return []
    gallery = Gallery(pair, protocol)
    sections: list[Section | None] = [*gallery.disagreements(2 * count), *gallery.by_outcome(count)]
    for model in pair:
        for asked in (row for row in rows if row.control and row.run in model.runs):
            same = Row(model.name, asked.runs, model.file)
            sections.append(Gallery([same, asked], protocol).controls(count))
    return [section for section in sections if section is not None]


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sbanet.analysis"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["figure"] = _figure
    environment.filters["facts"] = _facts
    environment.filters["number"] = _sorted_by
    return environment


def _figure(figure: go.Figure) -> Markup:
    """A figure as JSON; plotly writes it so that no name in it can close the script element around it."""
    return Markup(figure.to_json())


def _sorted_by(cell: Cell) -> str | float:
    """What a cell is sorted by."""
    value = number(cell)
    return cell if isinstance(cell, str) else "" if value is None else value


def _facts(facts: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """A nested dictionary as (dotted key, value) pairs."""
    pairs: list[tuple[str, Any]] = []
    for key, value in facts.items():
        nested = isinstance(value, dict) and value
        pairs += _facts(value, f"{prefix}{key}.") if nested else [(f"{prefix}{key}", value)]
    return pairs
