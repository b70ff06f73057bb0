"""Charts as plotly figures; the page adds fonts and colours of the reader's theme when it draws them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sbanet.analysis.changes import only
from sbanet.analysis.rows import Row
from sbanet.analysis.runs import Run, RunFolderError
from sbanet.analysis.table import Table, number

PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8a6fdf", "#999933")
"""One colour a row of the comparison, told apart by readers of every colour vision (after Okabe and Ito)."""

CONTROL = "#8c8c8c"

NAMED = 12
"""Rows that a legend names; of more, the one under the pointer is named, or the legend would take the chart's place."""

NAME = "<extra>%{fullData.name}</extra>"

log = logging.getLogger(__name__)


def colours(rows: Sequence[Row]) -> dict[str, str]:
    """Row name -> its colour everywhere on a page; controls are grey."""
    models = [row.name for row in rows if not row.control]
    palette = {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(models)}
    return {row.name: palette.get(row.name, CONTROL) for row in rows}


def bars(table: Table, colour: dict[str, str]) -> go.Figure:
    """A breakdown as grouped bars: a cluster a group, a bar a row of the comparison.

    Args:
        table: from `sbanet.analysis.tables.breakdown`: group, n, then a column a row.
        colour: column title -> colour.
    """
    groups = [str(cells[0]) for cells in table.rows]
    counts = [cells[1] for cells in table.rows]
    named = len(colour) <= NAMED
    figure = go.Figure(layout=_layout("mIoU (%)" if table.title.startswith("mIoU") else "%", named))
    for index, column in enumerate(table.columns[2:], start=2):
        figure.add_bar(
            x=groups,
            y=[cells[index] for cells in table.rows],
            name=column.title,
            customdata=counts,
            hovertemplate="%{y:.1f} on %{customdata} expressions" + ("" if named else NAME),
            marker_color=colour[column.title],
        )
    figure.update_layout(barmode="group", bargap=0.25, hovermode="x unified" if named else "closest")
    return figure.update_xaxes(showgrid=False)


def curves(rows: Sequence[Row], metric: str, axis: str, colour: dict[str, str], factor: float = 1.0) -> go.Figure:
    """One metric over the steps, a line a row that has measured it: the mean of its seeds, in a band of all of them.

    Args:
        rows: models; controls have no curves.
        metric: a column of `metrics.csv`.
        axis: the title of the vertical axis.
        colour: row name -> colour.
        factor: the values are multiplied by it (100 for percent).
    """
    named = len(rows) <= NAMED
    figure = go.Figure(layout=_layout(axis, named))
    for row in rows:
        seeds = [curve for run in row.runs if len(curve := _curve(run, metric))]
        if not seeds:
            continue
        together = _thinned(factor * pd.concat(seeds, axis=1, keys=range(len(seeds))))
        steps = together.index.tolist()
        if len(seeds) > 1:
            low, high = together.min(axis=1), together.max(axis=1)
            figure.add_scatter(
                x=steps + steps[::-1], y=[*high, *low[::-1]], fill="toself", fillcolor=colour[row.name], opacity=0.18,
                line={"width": 0}, mode="lines", legendgroup=row.name, showlegend=False, hoverinfo="skip",
            )  # fmt: skip
        figure.add_scatter(
            x=steps, y=together.mean(axis=1).tolist(), name=row.name, legendgroup=row.name,
            mode="lines+markers" if len(steps) < 40 else "lines",
            line={"color": colour[row.name], "width": 2}, hovertemplate="%{y:.4g}" + ("" if named else NAME),
        )  # fmt: skip
    return figure.update_layout(hovermode="x unified" if named else "closest").update_xaxes(title=_title("step"))


def costs(table: Table, colour: dict[str, str]) -> go.Figure:
    """Quality against cost: mIoU over the multiply-adds of one image, a point a row that knows both.

    Args:
        table: from `sbanet.analysis.tables.comparison`.
        colour: row name -> colour.
    """
    titles = [column.title for column in table.columns]
    quality, cost, size = (titles.index(title) for title in ("mIoU", "Mult-adds (G)", "Params (M)"))
    figure = go.Figure(layout=_layout("mIoU (%)", len(colour) <= NAMED))
    for cells in table.rows:
        if cells[cost] is None:
            continue
        name, score = str(cells[0]), cells[quality]
        figure.add_scatter(
            x=[cells[cost]], y=[number(score)], name=name, mode="markers", customdata=[[number(cells[size])]],
            error_y={"array": [getattr(score, "spread", None)], "thickness": 1.5},
            marker={"color": colour[name], "size": 12},
            hovertemplate="%{y:.2f} % mIoU, %{x:.3g} G multiply-adds, %{customdata[0]:.3g} M parameters",
        )  # fmt: skip
    figure.update_yaxes(rangemode="normal")
    return figure.update_xaxes(title=_title("multiply-adds of one image (G)"), rangemode="tozero")


def intervals(table: Table, colour: dict[str, str], metric: str = "mIoU") -> go.Figure:
    """Changes against the baseline with their confidence intervals, a line a row.

    Args:
        table: from `sbanet.analysis.changes.changes`.
        colour: row name -> colour.
        metric: which of its scores.
    """
    figure = go.Figure(layout=_layout("", named=False))
    for name, _, value, low, high, *_ in only(table, metric).rows:
        change, lower, upper = (number(cell) or 0.0 for cell in (value, low, high))
        figure.add_scatter(
            x=[change], y=[name], mode="markers", marker={"color": colour[str(name)], "size": 11},
            error_x={"array": [upper - change], "arrayminus": [change - lower], "thickness": 2},
            customdata=[[lower, upper]], name="",
            hovertemplate="%{x:+.2f} points, from %{customdata[0]:+.2f} to %{customdata[1]:+.2f}",
        )  # fmt: skip
    figure.update_yaxes(automargin=True, autorange="reversed")
    figure.add_vline(x=0, line={"width": 1, "dash": "dot", "color": CONTROL})
    return figure.update_xaxes(title=_title(f"change of {metric}, in points of percent"))


def _curve(run: Run, metric: str) -> pd.Series:
    """Empty where the run's folder has no curves: it may hold predictions alone."""
    try:
        return run.curve(metric)
    except RunFolderError as error:
        log.warning("no curves: %s", error)
        return pd.Series(dtype=float)


def _thinned(curves: pd.DataFrame, most: int = 200) -> pd.DataFrame:
    """At most so many steps, each the mean of its neighbours."""
    if len(curves) <= most:
        return curves
    place = np.arange(len(curves)) * most // len(curves)
    return curves.groupby(place).mean().set_axis(pd.Series(curves.index).groupby(place).mean(), axis=0)


def _title(text: str) -> dict:
    return {"text": text, "font": {"size": 13}}


def _layout(axis: str, named: bool) -> dict:
    return {
        "margin": {"l": 56, "r": 12, "t": 8, "b": 56},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "yaxis": {"title": _title(axis), "rangemode": "tozero"},
        "xaxis": {"automargin": True},
        "showlegend": named,
        "template": None,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
    }
