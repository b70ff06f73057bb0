"""The table of changes says the same as the tables of scores, and as the bootstrap on the same samples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from sbanet.analysis.changes import changes, common_samples
from sbanet.analysis.rows import rows_of
from sbanet.analysis.runs import Run
from sbanet.analysis.significance import holm, least_change
from sbanet.analysis.table import Table, number
from sbanet.analysis.tables import comparison, measured

MakeRun = Callable[..., Run]


def column(table: Table, title: str) -> list:
    index = [column.title for column in table.columns].index(title)
    return [cells[index] for cells in table.rows]


@pytest.fixture
def runs(make_run: MakeRun) -> list[Run]:
    """Three seeds of two models, and a single run of another."""
    seeded = [("sbanet", 0.8), ("pwam", 0.4)]
    runs = [
        make_run(f"{name}/{seed}", name=name, skill=skill, seed=seed) for name, skill in seeded for seed in (1, 2, 3)
    ]
    return [*runs, make_run("iim", name="iim", skill=0.4, seed=9)]


def test_changes_are_differences_of_the_scores(runs: list[Run]) -> None:
    rows = rows_of(runs)
    table = changes(rows, rows[1], resamples=200)
    assert table is not None
    scores = comparison(rows, baseline=rows[1])
    assert column(table, "Model") == ["sbanet"] * 5 + ["iim"] * 5
    assert column(table, "Score") == ["mIoU", "oIoU", "Pr@0.5", "Pr@0.7", "Pr@0.9"] * 2
    for place, metric in enumerate(column(table, "Score")[:5]):
        first, base, third = (number(cell) for cell in column(scores, metric))
        assert column(table, "Change")[place] == pytest.approx(first - base)
        assert column(table, "Change")[place + 5] == pytest.approx(third - base)
    assert column(scores, "Change of mIoU")[1] is None
    assert column(scores, "Change of mIoU")[0] == pytest.approx(column(table, "Change")[0])
    assert column(scores, "Seeds") == [3, 3, 1]
    low, value, high = (column(table, title)[0] for title in ("95 % from", "Change", "to"))
    assert 0 < low < value < high, "0.8 against 0.4 of the objects found"
    assert column(table, "p")[0] == 2 / 201
    assert column(table, "p (Holm)") == holm(column(table, "p"))
    assert "48 expressions about 12 images" in table.note
    assert "200 draws" in table.note
    assert "all 10 tests" in table.note


def test_spread_over_seeds_and_what_it_can_show(runs: list[Run]) -> None:
    rows = rows_of(runs)
    table = changes(rows, rows[1], resamples=50)
    assert table is not None
    own, base, single = ([100 * one.mIoU for one in measured(row, "network")] for row in rows)
    assert column(table, "Seeds can show")[0] == pytest.approx(least_change(own, base))
    assert column(table, "Seeds can show")[5] == pytest.approx(least_change(single, base))
    mean = column(comparison(rows), "mIoU")[0]
    assert (mean.value, mean.spread) == pytest.approx((np.mean(own), np.std(own, ddof=1)))
    assert "seeds: pwam 3, sbanet 3, iim 1" in table.note
    alone = changes(rows_of([runs[0], runs[-1]]), rows_of([runs[0]])[0], resamples=50)
    assert alone is not None
    assert set(column(alone, "Seeds can show")) == {None}
    assert "nobody knows what another seed would change" in alone.note


def test_only_samples_that_all_runs_have_in_whatever_order(runs: list[Run]) -> None:
    rows = rows_of(runs)
    before = changes(rows[:2], rows[1], resamples=50)
    path = runs[1].folder / "predictions" / "test.parquet"
    pd.read_parquet(path)[::-1].to_parquet(path)
    rows = rows_of([Run(run.folder) for run in runs])
    after = changes(rows[:2], rows[1], resamples=50)
    assert before is not None
    assert after is not None
    assert [cells[2] for cells in after.rows] == pytest.approx([cells[2] for cells in before.rows])
    pd.read_parquet(path)[:10].to_parquet(path)
    rows = rows_of([Run(run.folder) for run in runs])
    assert len(common_samples(rows)) == 10
    few = changes(rows, rows[1], resamples=50)
    assert few is not None
    assert "10 expressions about 3 images" in few.note


def test_nothing_to_compare(runs: list[Run], make_run: MakeRun) -> None:
    rows = rows_of(runs[:1])
    assert changes(rows, rows[0]) is None
    other = make_run("other", name="other", scenes=1)
    path = other.folder / "predictions" / "test.parquet"
    frame = pd.read_parquet(path)
    frame.assign(sample_id=[f"else{row}" for row in range(len(frame))]).to_parquet(path)
    rows = rows_of([runs[0], other])
    assert changes(rows, rows[0]) is None
