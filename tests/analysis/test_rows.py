"""Which runs are one row, and what it is called."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sbanet.analysis.rows import RowNameError, find_row, rows_of
from sbanet.analysis.runs import Run
from sbanet.sweeps.record import JobRecord, note_job

MakeRun = Callable[..., Run]


def swept(make_run: MakeRun, experiment: str, overrides: list[str], seed: int, run_id: str | None = None) -> Run:
    """A run as a sweep leaves it: its folder named by its id, its name the experiment's with the id behind."""
    run_id = run_id or "--".join(part.replace("=", "-") for part in (*overrides, f"seed={seed}"))
    run = make_run(f"runs/{experiment}/{run_id}", name=experiment, seed=seed, scenes=1)
    run.facts.update(run_id=run_id, name=f"{experiment} {run_id}", experiment=experiment)
    run.facts["config"]["model"] = {"chosen": overrides}
    return run


def names(runs: list[Run]) -> list[tuple[str, list[int]]]:
    return [(row.name, [run.facts["seed"] for run in row.runs]) for row in rows_of(runs)]


def test_seeds_are_one_row_in_their_order(make_run: MakeRun) -> None:
    runs = [make_run(f"a/{seed}", seed=seed, scenes=1) for seed in (10, 2, 1)]
    assert names(runs) == [("sbanet", [1, 2, 10])]


def test_a_value_that_is_no_seed_makes_another_row(make_run: MakeRun) -> None:
    runs = [make_run(f"a/{seed}", seed=seed, scenes=1) for seed in (1, 2)]
    runs[1].facts["config"]["data"]["scene_seed"] = 2
    assert len(rows_of(runs)) == 2


def test_rows_of_a_sweep_are_named_by_what_they_change(make_run: MakeRun) -> None:
    variants = [(seed, variant) for seed in (1, 2) for variant in ("sbanet", "no_bam")]
    runs = [swept(make_run, "ablation", ["recipe=rrsisd", f"variant={variant}"], seed) for seed, variant in variants]
    assert names(runs) == [("variant=sbanet", [1, 2]), ("variant=no_bam", [1, 2])]
    other = make_run("runs/rmsin_rrsisd", name="rmsin_rrsisd", scenes=1)
    assert [name for name, _ in names([*runs, other])] == [
        "ablation variant=sbanet", "ablation variant=no_bam", "rmsin_rrsisd",
    ]  # fmt: skip


def test_ids_that_end_in_a_digest_are_read_in_the_record_of_the_sweep(make_run: MakeRun) -> None:
    runs = []
    for seed, alignment in ((1, "bam"), (2, "bam"), (1, "pwam"), (2, "pwam")):
        overrides = ["data.sizes=[1,2]", f"model/alignment={alignment}"]
        run = swept(make_run, "long", overrides, seed, run_id=f"data.sizes--{alignment}{seed}00000")
        note_job(
            JobRecord(
                name=run.folder.name, folder=str(run.folder), overrides=[*overrides, f"seed={seed}", "paths.runs=x"]
            )
        )
        runs.append(run)
    assert names(runs) == [("model/alignment=bam", [1, 2]), ("model/alignment=pwam", [1, 2])]


def test_a_seed_that_comes_twice_is_another_row(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("a/x", scenes=1)
    shutil.copytree(run.folder, tmp_path / "b" / "x")
    copy = Run(tmp_path / "b" / "x")
    assert [name for name, _ in names([run, copy])] == [f"sbanet ({run.folder})", f"sbanet ({copy.folder})"]
    copy.facts["run_id"] = "lr"
    assert [name for name, _ in names([run, copy])] == ["sbanet (seed1)", "sbanet (lr)"]


def test_runs_that_do_not_tell_their_config_are_rows_of_their_own(make_run: MakeRun) -> None:
    runs = [make_run(f"a/{seed}", seed=seed, scenes=1) for seed in (1, 2)]
    for run in runs:
        del run.facts["config"]
    assert len(rows_of(runs)) == 2


def test_a_row_is_found_by_its_name_or_a_part_that_no_other_has(make_run: MakeRun) -> None:
    rows = rows_of([make_run(f"a/{name}", name=name, scenes=1) for name in ("sbanet", "sbanet_small", "rmsin_rrsisd")])
    assert find_row(rows, "RMSIN").name == "rmsin_rrsisd"
    assert find_row(rows, "sbanet").name == "sbanet"
    with pytest.raises(
        RowNameError, match="no row holds 'lavt' in their names, expected one of: sbanet; sbanet_small; rmsin_rrsisd"
    ):
        find_row(rows, "lavt")
    with pytest.raises(
        RowNameError, match="several rows hold 'net' in their names, expected one of: sbanet; sbanet_small"
    ):
        find_row(rows, "net")
