"""Reading run folders, whole and broken ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from sbanet.analysis.runs import Run, RunFolderError, find_runs
from sbanet.files import image_file_name

MakeRun = Callable[..., Run]


def test_facts_curves_predictions(runs: dict[str, Run]) -> None:
    run = runs["sbanet"]
    assert (run.name, run.facts["seed"]) == ("sbanet", 1)
    assert list(run.curve("val/mIoU").index) == list(range(50, 401, 50))
    assert len(run.curve("train/loss")) == 40
    assert run.curve("val/unheard_of").empty
    assert run.prediction_files() == ["test", "test_wrong_sentence"]
    frame = run.predictions("test")
    assert len(frame) == 48
    assert all(isinstance(tags, tuple) and tags for tags in frame["tags"])


def test_thumbnails_exist_for_some_images(runs: dict[str, Run]) -> None:
    thumbnail = runs["sbanet"].thumbnail("0")
    assert thumbnail is not None
    assert thumbnail.name == "0.jpg"
    assert runs["sbanet"].thumbnail("2") is None


def test_file_names_of_images() -> None:
    assert image_file_name("00012.jpg") == "00012.jpg"
    names = [image_file_name(key) for key in ("a/b 1.tif", "a_b_1.tif", "../b", "", ".", "x" * 300, "a/b_1.tif")]
    assert len(set(names)) == len(names)
    assert all(name and len(name) < 90 and "/" not in name and not name.startswith(".") for name in names)


def test_find_runs_below_a_folder_once_each_in_the_order_given(make_run: MakeRun, tmp_path: Path) -> None:
    for folder in ("runs/x/b", "runs/x/a", "runs/y"):
        make_run(folder, scenes=1)
    runs = tmp_path / "runs"
    found = find_runs([runs / "y", runs, str(runs / "x" / "a")])
    assert [run.folder.relative_to(runs).as_posix() for run in found] == ["y", "x/a", "x/b"]


def test_a_line_that_is_still_being_written_is_left_out(make_run: MakeRun) -> None:
    run = make_run(scenes=1)
    with (run.folder / "metrics.csv").open("a") as file:
        file.write("4,410,0.3")
    assert run.curves["step"].max() == 400


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="nowhere: no such folder; expected"):
        find_runs([tmp_path / "nowhere"])
    with pytest.raises(RunFolderError, match=r"no run\.json in it or below it"):
        find_runs([tmp_path])


def break_json(run: Run) -> None:
    (run.folder / "run.json").write_text('{"schema": 1, "run_i')


def break_csv(run: Run) -> None:
    (run.folder / "metrics.csv").write_text("a,b\n1,2\n")


def break_parquet(run: Run) -> None:
    path = run.folder / "predictions" / "test.parquet"
    path.write_bytes(path.read_bytes()[:-200])


def repeat_sample(run: Run) -> None:
    path = run.folder / "predictions" / "test.parquet"
    frame = pd.read_parquet(path)
    pd.concat([frame, frame[:1]]).to_parquet(path)


def drop_column(run: Run) -> None:
    path = run.folder / "predictions" / "test.parquet"
    pd.read_parquet(path).drop(columns="native_U").to_parquet(path)


@pytest.mark.parametrize(
    ("damage", "read", "message"),
    [
        (break_json, lambda run: run.facts, r"run\.json: not readable .* start the run once more"),
        (lambda run: (run.folder / "run.json").unlink(), lambda run: run.name, r"run\.json: no such file"),
        (lambda run: (run.folder / "run.json").write_text("[]"), lambda run: run.name, "has no run_id"),
        (break_csv, lambda run: run.curves, r"metrics\.csv: got columns \['a', 'b'\], expected epoch, step"),
        (lambda run: (run.folder / "metrics.csv").write_text(""), lambda run: run.curves, "not a table"),
        (
            lambda run: (run.folder / "metrics.csv").unlink(),
            lambda run: run.curves,
            r"metrics\.csv: no such file",
        ),
        (
            break_parquet,
            lambda run: run.predictions(),
            r"test\.parquet: not readable .*sbanet-evaluate",
        ),
        (drop_column, lambda run: run.predictions(), r"lacks the columns native_U; .*sbanet-evaluate"),
        (repeat_sample, lambda run: run.predictions(), "sample 'scene0-0' occurs more than once"),
        (lambda run: None, lambda run: run.predictions("val"), r"val\.parquet: no such file \(there: test\)"),
    ],
)
def test_broken_folders_say_which_file_and_what_to_do(
    make_run: MakeRun, damage: Callable, read: Callable, message: str
) -> None:
    run = make_run(scenes=1)
    damage(run)
    with pytest.raises(RunFolderError, match=message) as caught:
        read(run)
    assert "\n" not in str(caught.value)
