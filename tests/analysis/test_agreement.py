"""What differs between runs that are compared is said, with who has which value."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from sbanet.analysis.agreement import disagreements
from sbanet.analysis.rows import rows_of
from sbanet.analysis.runs import Run

MakeRun = Callable[..., Run]


@pytest.fixture
def trio(make_run: MakeRun) -> list[Run]:
    """Two seeds of one row, and another row with the same seeds."""
    names = [("sbanet", 1), ("sbanet", 2), ("pwam", 1), ("pwam", 2)]
    return [make_run(f"runs/{name}{seed}", name=name, seed=seed, scenes=2) for name, seed in names]


def test_equal_runs_disagree_in_nothing(trio: list[Run]) -> None:
    assert disagreements(rows_of(trio)) == []


def edit(run: Run, **columns: object) -> None:
    path = run.folder / "predictions" / "test.parquet"
    frame = pd.read_parquet(path)
    frame.assign(**columns).to_parquet(path)


def shorten(run: Run) -> None:
    path = run.folder / "predictions" / "test.parquet"
    pd.read_parquet(path)[:5].to_parquet(path)


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        (lambda run: run.facts.update(git_commit="beef"), "git commit: f00dfeed in sbanet, pwam (seed 1); beef"),
        (lambda run: run.facts.update(status="running"), "status: finished in sbanet, pwam (seed 1); running in pwam"),
        (lambda run: run.facts["dataset"]["fingerprint"].update(test="x"), "dataset fingerprint: d4e5f6 in sbanet"),
        (lambda run: run.facts["dataset"]["fingerprint"].update(train="x"), "fingerprint of what they learnt from: a1"),
        (lambda run: run.facts["config"]["model"].update(max_tokens=20), "text length (max_tokens): unknown in sbanet"),
        (lambda run: run.facts["config"]["data"].update(image_size=64), "network size of the protocol"),
        (lambda run: edit(run, split="val"), "split: test in sbanet, pwam (seed 1); val in pwam"),
        (lambda run: edit(run, dataset="other"), "dataset: aeroscenes in sbanet, pwam (seed 1); other in pwam"),
        (shorten, "number of samples: 8 in sbanet, pwam (seed 1); 5 in pwam (seed 2)"),
    ],
)  # fmt: skip
def test_a_difference_is_named(trio: list[Run], change: Callable[[Run], None], warning: str) -> None:
    change(trio[-1])
    warnings = disagreements(rows_of(trio))
    assert any(f"Runs differ in {warning}" in one or warning in one for one in warnings), warnings


def test_other_targets_under_the_same_ids(trio: list[Run]) -> None:
    edit(trio[-1], target_pixels=7)
    (warning,) = disagreements(rows_of(trio))
    assert warning == "Samples, sentences, tags or targets are not those of sbanet: pwam (seed 2)."


def test_missing_seeds_and_copies(trio: list[Run]) -> None:
    assert disagreements(rows_of(trio[:3])) == ["Runs differ in seeds: 1, 2 in sbanet; 1 in pwam."]
    trio[3].facts.update(trio[2].facts, run_id="again")
    assert "The same config and seed twice: pwam (seed1) and pwam (again)." in disagreements(rows_of(trio))
