"""The command `sbanet-report`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from sbanet.analysis.runs import Run
from sbanet.report import Options, main, parse

MakeRun = Callable[..., Run]


def test_writes_what_it_was_asked_for(runs: dict[str, Run], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "demo" / "index.html"
    folders = [str(run.folder) for run in runs.values()]
    assert main([*folders, f"out={out}", "format=html,markdown", "title=A = B", "pictures=1"]) == 0
    assert "<h1>A = B</h1>" in out.read_text(encoding="utf-8")
    assert "| sbanet, wrong sentence |" in out.with_suffix(".md").read_text(encoding="utf-8")
    printed = capsys.readouterr()
    assert "mIoU by skill" in printed.out
    assert f"Wrote {out}" in printed.out
    assert printed.err == ""


def test_a_baseline_adds_changes_in_every_format(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for name, skill in (("sbanet", 0.8), ("rmsin_rrsisd", 0.5)):
        for seed in (1, 2):
            make_run(f"runs/{name}{seed}", name=name, skill=skill, seed=seed, scenes=3)
    arguments = [str(tmp_path / "runs"), "baseline=rmsin", "resamples=99", "confidence=0.9", "seed=3", "pictures=1"]
    assert main([*arguments, "format=html,markdown,latex,csv", f"out={tmp_path / 'out' / 'report.html'}"]) == 0
    parts = ("comparison", "changes", "skills", "sizes", "lengths", "categories", "outcomes")
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {f"report-{part}.{ending}" for part in parts for ending in ("tex", "csv")} | {
        "report.html", "report.md", "report.tex",
    }  # fmt: skip
    printed = capsys.readouterr().out
    assert "Change against rmsin_rrsisd" in printed
    assert "99 draws" in " ".join(printed.split())
    page, document = ((tmp_path / "out" / f"report.{ending}").read_text() for ending in ("html", "tex"))
    assert "90 % from" in page
    assert all(rf"\input{{report-{part}.tex}}" in document for part in parts)
    changes = pd.read_csv(tmp_path / "out" / "report-changes.csv")
    assert len(changes) == 5
    assert changes["Change"][0] > 0
    assert pd.read_csv(tmp_path / "out" / "report-comparison.csv")["mIoU std"].notna().all()


def test_the_pair_is_chosen_and_shown(make_run: MakeRun, tmp_path: Path) -> None:
    for seed, (name, skill) in enumerate({"best": 0.9, "middle": 0.6, "worst": 0.3}.items()):
        make_run(f"runs/{name}", name=name, skill=skill, seed=seed)
    out = tmp_path / "page.html"
    for argument, pair in (("pair=worst,middle", "worst ahead of middle"), ("baseline=worst", "best ahead of worst")):
        assert main([str(tmp_path / "runs"), f"out={out}", "pictures=1", "resamples=9", argument]) == 0
        assert f"Where they disagree: {pair}" in out.read_text(encoding="utf-8")


def test_what_differs_is_said_before_the_numbers(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    make_run("runs/a", name="a", scenes=2)
    facts = make_run("runs/b", name="b", scenes=2).folder / "run.json"
    facts.write_text(facts.read_text().replace("f00dfeed", "beef"))
    out = tmp_path / "page.html"
    assert main([str(tmp_path / "runs"), f"out={out}", "pictures=0", "format=html,markdown"]) == 0
    warning = "Runs differ in git commit: f00dfeed in a; beef in b."
    assert f"sbanet-report: {warning}" in capsys.readouterr().err
    assert warning in out.read_text(encoding="utf-8").partition("<main>")[0]
    assert warning in out.with_suffix(".md").read_text(encoding="utf-8").partition("###")[0]


def test_markdown_alone(runs: dict[str, Run], tmp_path: Path) -> None:
    assert main([str(runs["pwam"].folder), f"out={tmp_path / 'v1.2'}", "format=markdown", "protocol=native"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["v1.2.md"]
    assert "protocol native" in (tmp_path / "v1.2.md").read_text(encoding="utf-8")


def test_values_are_literal_and_folders_may_hold_an_equals_sign(tmp_path: Path) -> None:
    folder = tmp_path / "lr=0.1"
    folder.mkdir()
    options = parse([str(folder), "out=epoch=3 [x].html", "title="])
    assert options == Options(folders=(folder,), out=Path("epoch=3 [x].html"), title="")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["runs", "slit=test"], "unknown key 'slit' in 'slit=test'; known: out, split, protocol, format"),
        (["runs", "--fast"], "unknown option '--fast'; keys are written key=value"),
        (["runs", "protocol=both"], "protocol: got 'both', expected one of network, native"),
        (["runs", "format=html,word"], "format: got 'word', expected one of html, markdown, latex, csv"),
        (["runs", "pictures=-1"], "pictures: got '-1', expected a whole number of 0 or more"),
        (["runs", "confidence=95"], "confidence: got '95', expected a fraction between 0 and 1"),
        (["runs", "pair=a"], "pair: got 'a', expected the names of two rows"),
        (["runs", "resamples=0"], "resamples: got '0', expected a whole number of 1 or more"),
        (["split=val"], "no run folder given"),
        (["no/such/folder"], "no/such/folder: no such folder"),
    ],
)
def test_one_clear_line_and_exit_code_2(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"sbanet-report: {message}")
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_split_that_no_run_has(runs: dict[str, Run], capsys: pytest.CaptureFixture) -> None:
    assert main([str(runs["pwam"].folder), "split=val"]) == 2
    assert "val.parquet: no such file (there: test); write it with sbanet-evaluate" in capsys.readouterr().err


def test_a_baseline_that_is_no_row(runs: dict[str, Run], capsys: pytest.CaptureFixture) -> None:
    assert main([str(runs["pwam"].folder), "baseline=lavt"]) == 2
    assert "no row holds 'lavt' in their names, expected one of: pwam" in capsys.readouterr().err


def test_a_run_without_predictions_is_left_out_and_named(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    make_run("runs/a", scenes=2)
    (make_run("runs/b", scenes=2).folder / "predictions" / "test.parquet").unlink()
    out = tmp_path / "page.html"
    assert main([str(tmp_path / "runs"), f"out={out}", "pictures=0"]) == 0
    assert "sbanet-report: left out: " in capsys.readouterr().err
    assert "Left out: " in out.read_text(encoding="utf-8")


def test_no_arguments_is_a_wrong_command_line(capsys: pytest.CaptureFixture) -> None:
    assert main([]) == 2
    assert capsys.readouterr().out.startswith("Usage: sbanet-report")


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("from sbanet.report import main; main(['--help'])", {"torch", "pandas", "plotly", "rich", "cv2"}),
        (
            "import sbanet.report, sbanet.analysis.page, sbanet.analysis.tables, sbanet.scores",
            {"torch", "lightning", "hydra", "omegaconf", "transformers", "timm"},
        ),
    ],
)
def test_imports_are_few(code: str, absent: set[str]) -> None:
    command = f"{code}; import sys; sys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert absent & set(done.stderr.split()) == set()
