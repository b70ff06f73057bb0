"""Tables: the right numbers under the right names, and notes that warn."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pandas as pd
import pytest
from rich.console import Console

from sbanet.analysis.groups import by_size, by_skill
from sbanet.analysis.outcomes import outcome_table, outcomes
from sbanet.analysis.page import controls
from sbanet.analysis.rows import Row, rows_of
from sbanet.analysis.runs import Run
from sbanet.analysis.table import Column, Table
from sbanet.analysis.tables import breakdown, comparison, measure, summary

MakeRun = Callable[..., Run]


@pytest.fixture
def rows(runs: dict[str, Run]) -> list[Row]:
    return rows_of(list(runs.values()))


def column(table: Table, title: str) -> list:
    index = [column.title for column in table.columns].index(title)
    return [cells[index] for cells in table.rows]


def test_rows_are_the_runs_then_their_controls(rows: list[Row]) -> None:
    assert [(row.name, row.file, row.control) for row in rows] == [
        ("sbanet", "test", False),
        ("pwam", "test", False),
        ("sbanet, wrong sentence", "test_wrong_sentence", True),
    ]


def test_another_split_is_no_control(make_run: MakeRun) -> None:
    run = make_run(scenes=1)
    run.predictions("test").to_parquet(run.folder / "predictions" / "val.parquet")
    assert [row.file for row in rows_of([run], "test")] == ["test"]
    assert [row.file for row in rows_of([run], "val")] == ["val"]


def test_comparison_holds_scores_in_percent_and_costs(rows: list[Row]) -> None:
    table = comparison(rows)
    frame = rows[0].predictions
    iou = frame["network_I"] / frame["network_U"]
    assert column(table, "mIoU")[0].value == pytest.approx(100 * iou.mean())
    assert column(table, "oIoU")[0].value == pytest.approx(100 * frame["network_I"].sum() / frame["network_U"].sum())
    assert column(table, "Pr@0.7")[0].value == pytest.approx(100 * (iou >= 0.7).mean())
    assert column(table, "Params (M)") == [3.012345, 2.612345, None]
    assert column(table, "Mult-adds (G)")[0] == 1.2
    assert "protocol network" in table.note
    assert "48 expressions" in table.note


def test_each_protocol_reads_its_own_columns(rows: list[Row]) -> None:
    frame = rows[0].predictions.assign(native_I=0)
    assert measure(frame, "native").mIoU == 0
    assert measure(frame, "network").mIoU > 0
    with pytest.raises(ValueError, match="got 'big', expected one of network, native"):
        measure(frame, "big")


def test_empty_unions_are_reported(rows: list[Row]) -> None:
    frame = rows[0].predictions.copy()
    frame.loc[:2, ["network_I", "network_U"]] = 0
    row = Row("sbanet", rows[0].runs)
    vars(row)["frames"] = (frame,)
    assert "counted as IoU 0: sbanet 3." in comparison([row]).note
    assert "counted as IoU 0" not in comparison(rows).note


def test_rows_over_other_samples_are_called_not_comparable(rows: list[Row], make_run: MakeRun) -> None:
    fewer = Row("fewer", (make_run(scenes=2),))
    assert "NOT COMPARABLE, the rows cover different samples: sbanet 48, fewer 8." in comparison(
        [rows[0], fewer]
    ).note  # fmt: skip
    assert "NOT COMPARABLE" not in comparison(rows).note


def test_a_control_may_cover_fewer_samples_and_says_so(make_run: MakeRun) -> None:
    run = make_run(scenes=4, control=True)
    path = run.folder / "predictions" / "test_wrong_sentence.parquet"
    pd.read_parquet(path).iloc[:10].to_parquet(path)
    rows = rows_of([run])
    note = comparison(rows).note
    assert "NOT COMPARABLE" not in note
    assert "Controls on a part of the samples: sbanet, wrong sentence 10." in note
    (control,) = controls(rows, "network")
    assert control.model_score == 100 * measure(rows[0].predictions.iloc[:10], "network").mIoU


def test_breakdown_scores_each_group_alone(rows: list[Row]) -> None:
    table = breakdown(rows[:2], by_skill, "Skill")
    for group, n, *values in table.rows:
        for row, value in zip(rows[:2], values, strict=True):
            part = row.predictions[[group in tags for tags in row.predictions["tags"]]]
            assert value == pytest.approx(100 * (part["network_I"] / part["network_U"]).mean())
        assert n == sum(group in tags for tags in rows[0].predictions["tags"])
    assert "protocol network" in table.note


def test_breakdown_by_another_metric_and_other_edges(rows: list[Row]) -> None:
    table = breakdown(rows[:1], lambda frame: by_size(frame, edges=(0.5,)), "Size", metric="Pr@0.5")
    assert table.rows == (("below 50 %", 48, 100 * measure(rows[0].predictions, "network").precision[0.5]),)
    with pytest.raises(ValueError, match=r"got 'f1', expected one of mIoU, oIoU, Pr@0\.5"):
        breakdown(rows[:1], by_skill, "Skill", metric="f1")


def test_a_group_that_a_row_lacks_is_a_dash(rows: list[Row], make_run: MakeRun) -> None:
    other = make_run(scenes=2)
    path = other.folder / "predictions" / "test.parquet"
    pd.read_parquet(path).assign(tags=[["size"]] * 8).to_parquet(path)
    table = breakdown([rows[0], Row("other", (other,))], by_skill, "Skill")
    values = dict(zip(column(table, "Skill"), column(table, "other"), strict=True))
    assert values["size"] is not None
    assert values["colour"] is None
    assert "| - |" in table.markdown()


def test_summary_is_plain_data_in_fractions(rows: list[Row]) -> None:
    result = json.loads(json.dumps(summary({row.name: row.predictions for row in rows})))
    assert list(result["models"]) == ["sbanet", "pwam", "sbanet, wrong sentence"]
    scores = result["models"]["sbanet"]
    assert {"mIoU", "oIoU", "Pr@0.5", "Pr@0.9", "count", "empty"} <= set(scores)
    assert 0 < scores["mIoU"] < 1


def test_best_values_are_bold_ties_both_and_never_a_control() -> None:
    columns = (Column("Model"), Column("mIoU", "{:.1f}", 1), Column("Seconds", "{:.1f}", -1))
    cells = (("a|b", 50.01, 3.0), ("c", 49.99, 2.0), ("control", 90.0, 1.0))
    table = Table("T", "note", columns, cells, frozenset({2}))
    assert table.best(1) == {0, 1}
    assert table.best(2) == {1}
    lines = table.markdown().splitlines()
    assert lines[4:] == [
        "| Model | mIoU | Seconds |",
        "|---|--:|--:|",
        "| a\\|b | **50.0** | 3.0 |",
        "| c | **50.0** | **2.0** |",
        "| control | 90.0 | 1.0 |",
    ]


def test_a_narrow_terminal_keeps_every_number(rows: list[Row]) -> None:
    table = comparison(rows)
    console = Console(width=80, file=io.StringIO())
    console.print(table.rich())
    text = console.file.getvalue()
    for index, cells in enumerate(table.rows):
        for cell, header in zip(cells[1:], table.columns[1:], strict=True):
            assert header.text(cell) in text, (index, header.title)
    assert "protocol network" in text


def test_outcomes_of_hand_made_masks() -> None:
    # Target of 100 pixels: exact, half, a corner, elsewhere, nothing, a speck; then no target but a mask.
    frame = pd.DataFrame(
        {
            "network_I": [100, 50, 30, 5, 0, 5, 0],
            "network_U": [100, 100, 110, 195, 100, 100, 40],
            "target_pixels": [100, 100, 100, 100, 100, 100, 0],
        },
        index=[3, 4, 5, 6, 7, 8, 9],
    )
    frame[["native_I", "native_U"]] = frame[["network_I", "network_U"]]
    judged = outcomes(frame)
    assert judged.index.tolist() == frame.index.tolist()
    assert judged["outcome"].tolist() == [
        "hit", "hit", "loose mask", "wrong object", "nothing", "nothing", "wrong object",
    ]  # fmt: skip
    assert outcomes(frame, hit=0.6)["outcome"].tolist()[1] == "loose mask"


def test_outcome_table_adds_up_and_agrees_with_precision(rows: list[Row]) -> None:
    table = outcome_table(rows)
    for cells, row in zip(table.rows, rows, strict=True):
        assert sum(cells[1:]) == pytest.approx(100)
        assert cells[1] == pytest.approx(100 * measure(row.predictions, "network").precision[0.5])
    assert "protocol network" in table.note
