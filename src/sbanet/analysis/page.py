"""One HTML page that holds everything it shows: tables, charts, pictures and the scripts that draw them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from sbanet.analysis import charts
from sbanet.analysis.gallery import Gallery, Section
from sbanet.analysis.groups import by_category, by_length, by_size, by_skill
from sbanet.analysis.outcomes import outcome_table
from sbanet.analysis.rows import Row
from sbanet.analysis.runs import RunFolderError
from sbanet.analysis.tables import Table, breakdown, comparison, measure

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
) -> Path:
    """Writes the page.

    Args:
        path: of the HTML file; its folder is made.
        rows: what to compare (see `sbanet.analysis.rows.rows_of`); at least one that is no control.
        title: the page's heading.
        protocol: `network` or `native`, for every number on the page.
        pictures: samples of each outcome to show for each row.
        remarks: sentences that a reader must see first (a run that was left out).

    Returns:
        `path`.

    Raises:
        RunFolderError: a run lacks a file of its predictions.
        ValueError: no row, or an unknown protocol.
    """
    if all(row.control for row in rows):
        raise ValueError(f"rows: got {[row.name for row in rows]}, expected at least one that is no control")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(rows, title, protocol, pictures, remarks), encoding="utf-8")
    log.info("wrote %s", path)
    return path


def render(rows: Sequence[Row], title: str, protocol: str, pictures: int, remarks: Sequence[str] = ()) -> str:
    """The page as text; the arguments of `write_page`."""
    models = [row for row in rows if not row.control]
    colour = charts.colours(rows)
    skills = breakdown(rows, by_skill, "Skill", protocol)
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            title=title,
            remarks=remarks,
            colour=colour,
            lead=_lead(comparison(models, protocol)),
            comparison=comparison(rows, protocol),
            controls=controls(rows, protocol),
            outcomes=outcome_table(rows, protocol),
            skills=skills,
            categories=breakdown(models, by_category, "Category", protocol),
            sizes=breakdown(models, by_size, "Size", protocol),
            lengths=breakdown(models, by_length, "Words", protocol),
            charts={
                "skills": charts.bars(skills, colour),
                **_curves(models, colour),
            },
            gallery=_gallery(rows, protocol, pictures),
            runs=[row.run for row in models],
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
        model = next((row for row in rows if row.run == control.run and not row.control), None)
        if control.control and model is not None:
            same = model.predictions["sample_id"].isin(control.predictions["sample_id"])
            whole = 100 * measure(model.predictions[same], protocol).mIoU
            left = 100 * measure(control.predictions, protocol).mIoU
            kept = 100 * left / whole if whole else 100.0
            found.append(Control(control.name, model.name, whole, left, kept))
    return found


def _lead(table: Table) -> tuple[str, str, float, float] | None:
    """(best model, second, mIoU of the best, its lead) among the models; None without a rival."""
    ranked = sorted(((float(cells[1] or 0), str(cells[0])) for cells in table.rows), reverse=True)
    if len(ranked) < 2:
        return None
    (best, first), (next_best, second) = ranked[:2]
    return first, second, best, best - next_best


def _curves(models: Sequence[Row], colour: dict[str, str]) -> dict[str, go.Figure]:
    """The learning curves of the models that have some; a folder with predictions alone has none."""
    learnt = []
    for row in models:
        try:
            learnt += [row] if len(row.run.curves) else []
        except RunFolderError as error:
            log.warning("no curves: %s", error)
    figures = {
        "loss": charts.curves(learnt, "train/loss", "training loss", colour),
        "val": charts.curves(learnt, "val/mIoU", "mIoU on val (%)", colour, factor=100),
    }
    return {name: figure for name, figure in figures.items() if figure.data}


def _gallery(rows: Sequence[Row], protocol: str, count: int) -> list[Section]:
    models = [row for row in rows if not row.control]
    if count == 0:
        return []
    gallery = Gallery(models, protocol)
    sections: list[Section | None] = [*gallery.by_outcome(count), gallery.disagreements(2 * count)]
    for model in models:
        asked = [row for row in rows if row.control and row.run == model.run]
        sections.append(Gallery([model, *asked], protocol).controls(count) if asked else None)
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
    return environment


def _figure(figure: go.Figure) -> Markup:
    """A figure as JSON; plotly writes it so that no name in it can close the script element around it."""
    return Markup(figure.to_json())


def _facts(facts: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """A nested dictionary as (dotted key, value) pairs."""
    pairs: list[tuple[str, Any]] = []
    for key, value in facts.items():
        nested = isinstance(value, dict) and value
        pairs += _facts(value, f"{prefix}{key}.") if nested else [(f"{prefix}{key}", value)]
    return pairs
