"""The table of changes against a baseline: how large, how sure on other images, and what the seeds can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from sbanet.analysis.rows import Row
from sbanet.analysis.significance import RESAMPLES, Bootstrap, Counts, bootstrap, holm, least_change
from sbanet.analysis.table import Cell, Column, Table
from sbanet.analysis.tables import PROTOCOLS, SHOWN, measured


def changes(
    rows: Sequence[Row],
    baseline: Row,
    protocol: str = "network",
    *,
    thresholds: Sequence[float] = SHOWN,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
    seed: int = 0,
) -> Table | None:
    """One line a (row, metric): the change against the baseline, in points of percent.

    Args:
        rows: models; controls are left out, and so is the baseline.
        baseline: one of the rows.
        protocol: `network` or `native`.
        thresholds: the X of the Pr@X.
        resamples: draws of the bootstrap.
        confidence: of the intervals, in (0, 1).
        seed: of the draws.

    Returns:
        None where there is no other row, or the rows have no sample in common.
    """
    others = [row for row in rows if not row.control and row is not baseline]
    compared = [baseline, *others]
    common = common_samples(compared)
    if not others or not len(common):
        return None
    counts, images = _aligned(compared, common, protocol)
    drawn = bootstrap(counts, images, thresholds=thresholds, resamples=resamples, seed=seed)
    cases = [(index, metric) for index in range(1, len(compared)) for metric in drawn.metrics]
    found = [drawn.change(index, 0, metric, confidence) for index, metric in cases]
    corrected = iter(holm([change.p for change in found]))
    seeds = _least_changes(compared, drawn.metrics, protocol, thresholds, confidence)
    lines: list[tuple[Cell, ...]] = []
    for (index, metric), change, least in zip(cases, found, seeds, strict=True):
        points = (100 * change.value, 100 * change.low, 100 * change.high)
        lines.append((compared[index].name, metric, *points, change.p, next(corrected), least))
    percent = f"{100 * confidence:g} %"
    columns = (
        Column("Model"),
        Column("Score"),
        Column("Change", "{:+.2f}"),
        Column(f"{percent} from", "{:+.2f}"),
        Column("to", "{:+.2f}"),
        Column("p", "{:.4f}"),
        Column("p (Holm)", "{:.4f}"),
        Column("Seeds can show", "{:.2f}"),
    )
    known = any(least is not None for least in seeds)
    note = _note(compared, drawn, images, protocol, percent, spread_known=known)
    return Table(f"Change against {baseline.name}", note, columns, tuple(lines))


def only(table: Table, metric: str) -> Table:
    """The lines of `changes` about one metric; the p-values stay corrected for all of them."""
    return replace(table, rows=tuple(cells for cells in table.rows if cells[1] == metric))


def common_samples(rows: Sequence[Row]) -> pd.Index:
    """The ids of the samples that every run of every row has, in the order of the first."""
    common = pd.Index(rows[0].predictions["sample_id"])
    keys = {rows[0].run.samples_key(rows[0].file)}
    for row in rows:
        for run, frame in zip(row.runs, row.frames, strict=True):
            if run.samples_key(row.file) not in keys:
                keys.add(run.samples_key(row.file))
                common = common[common.isin(frame["sample_id"])]
    return common


def _aligned(rows: Sequence[Row], samples: pd.Index, protocol: str) -> tuple[list[Counts], np.ndarray]:
    """I and U of every row and seed over the same samples, and the image of each sample by its number."""
    counts = []
    found: dict[int, np.ndarray] = {}
    for row in rows:
        places = []
        for run, frame in zip(row.runs, row.frames, strict=True):
            key = run.samples_key(row.file)
            if key not in found:
                found[key] = pd.Index(frame["sample_id"]).get_indexer(samples)
            places.append(found[key])
        pairs = [(inter[at], union[at]) for at, (inter, union) in zip(places, row.counts(protocol), strict=True)]
        counts.append(Counts(np.stack([pair[0] for pair in pairs]), np.stack([pair[1] for pair in pairs])))
    first = rows[0].predictions.set_index("sample_id")["image"]
    return counts, pd.factorize(first.loc[samples])[0]


def _least_changes(
    rows: Sequence[Row], metrics: Sequence[str], protocol: str, thresholds: Sequence[float], confidence: float
) -> list[float | None]:
    """For each row but the first and each metric, in points: what their seeds can tell from the first row's."""
    scores = [[one.as_dict() for one in measured(row, protocol, thresholds)] for row in rows]
    by_metric = [{metric: [100 * one[metric] for one in seeds] for metric in metrics} for seeds in scores]
    return [least_change(row[metric], by_metric[0][metric], confidence) for row in by_metric[1:] for metric in metrics]


def _note(
    rows: Sequence[Row], drawn: Bootstrap, images: np.ndarray, protocol: str, percent: str, *, spread_known: bool
) -> str:
    draws, tests = len(drawn.resampled), (len(rows) - 1) * len(drawn.metrics)
    note = (
        f"In points of percent, on the {len(images):,} expressions about {images.max() + 1:,} images that all rows "
        f"have; protocol {protocol}: {PROTOCOLS[protocol]}. Other images: {percent} interval and two-sided p of a "
        f"paired bootstrap that draws whole images ({draws:,} draws), for these very runs; p (Holm) is corrected for "
        f"all {tests} tests of the table. "
    )
    if not spread_known:
        return note + "Other seeds: with a single seed a row, nobody knows what another seed would change."
    counts = {len(row.runs) for row in rows}
    seeds = f"{counts.pop()} each" if len(counts) == 1 else ", ".join(f"{row.name} {len(row.runs)}" for row in rows)
    return note + (
        "Other seeds: the last column is the smallest change that the seeds can tell from chance, the critical "
        f"difference of a two-sided t-test with the same confidence (seeds: {seeds}). A change that is smaller may "
        "be the luck of the seeds, whatever p says."
    )
