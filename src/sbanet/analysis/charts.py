"""Charts as plotly figures; the page adds fonts and colours of the reader's theme when it draws them."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from sbanet.analysis.rows import Row
from sbanet.analysis.tables import Table

PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8a6fdf", "#999933")
"""One colour a row of the comparison, told apart by readers of every colour vision (after Okabe and Ito)."""

CONTROL = "#8c8c8c"


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
    figure = go.Figure(layout=_layout("mIoU (%)" if table.title.startswith("mIoU") else "%"))
    for index, column in enumerate(table.columns[2:], start=2):
        figure.add_bar(
            x=groups,
            y=[cells[index] for cells in table.rows],
            name=column.title,
            customdata=counts,
            hovertemplate="%{y:.1f} on %{customdata} expressions",
            marker_color=colour[column.title],
        )
    return figure.update_layout(barmode="group", bargap=0.25, hovermode="x unified").update_xaxes(showgrid=False)


def curves(rows: Sequence[Row], metric: str, axis: str, colour: dict[str, str], factor: float = 1.0) -> go.Figure:
    """One metric over the steps, a line a row that has measured it.

    Args:
        rows: models; controls have no curves.
        metric: a column of `metrics.csv`.
        axis: the title of the vertical axis.
        colour: row name -> colour.
        factor: the values are multiplied by it (100 for percent).
    """
    figure = go.Figure(layout=_layout(axis))
    for row in rows:
        curve = row.run.curve(metric)
        if len(curve):
            figure.add_scatter(
                x=curve.index.tolist(),
                y=(factor * curve).tolist(),
                name=row.name,
                mode="lines+markers" if len(curve) < 40 else "lines",
                line={"color": colour[row.name], "width": 2},
                hovertemplate="%{y:.4g}",
            )
    return figure.update_layout(hovermode="x unified").update_xaxes(title=_title("step"))


def _title(text: str) -> dict:
    return {"text": text, "font": {"size": 13}}


def _layout(axis: str) -> dict:
    return {
        "margin": {"l": 56, "r": 12, "t": 8, "b": 56},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "yaxis": {"title": _title(axis), "rangemode": "tozero"},
        "xaxis": {"automargin": True},
        "showlegend": True,
        "template": None,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
    }
