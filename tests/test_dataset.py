"""`sbanet-data gallery|stats`."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from sbanet.dataset import gallery, main, read_samples
from sbanet.drawing import GAP

TINY = (
    "data.image_size=64",
    "data.scenes_per_split.train=3",
    "data.scenes_per_split.val=6",
    "data.expressions_per_scene=3",
    "data.scenes.num_objects=[3,5]",
)
"""So small a dataset that its drawing takes no time; the size of the scenes is the network's."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def overrides(cache: Path) -> list[str]:
    return [f"paths.cache={cache}", *TINY]


def failure(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """The line that a refused command line ends with."""
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.strip().splitlines()
    assert line.startswith("error: ")
    return line


@pytest.mark.parametrize("count", [1, 5, 13])
def test_gallery_shows_so_many_samples(overrides, tmp_path, count, capsys):
    out = tmp_path / "new" / "sheet=1.png"
    main(["gallery", *overrides, "split=val", f"count={count}", f"out={out}"])
    assert f"wrote {out}" in capsys.readouterr().out
    sheet = cv2.imread(str(out))
    columns, rows = min(count, 6), -(-count // 6)
    assert sheet.shape[1] == 288 * columns + GAP * (columns - 1)
    assert 288 * rows < sheet.shape[0] < (288 + 100) * rows
    tiles = [sheet[: sheet.shape[0] // rows, k * (288 + GAP) :][:200, :288] for k in range(columns)]
    assert all(tile.std() > 10 for tile in tiles)


def test_gallery_spreads_over_the_split(overrides):
    samples = read_samples(overrides, "val")
    assert len(samples) >= 12
    few = cv2.imdecode(np.frombuffer(gallery(samples, 4), np.uint8), cv2.IMREAD_COLOR)
    last = samples.records[len(samples) // 4 * 3]
    shown = cv2.cvtColor(few[:288, 3 * (288 + GAP) :], cv2.COLOR_BGR2RGB)
    expected = cv2.resize(samples.dataset.image(last), (288, 288), interpolation=cv2.INTER_CUBIC)
    assert np.mean((shown == expected).all(axis=2)) > 0.8


def test_gallery_has_no_more_tiles_than_samples(overrides):
    samples = read_samples(overrides, "val")
    sheet = cv2.imdecode(np.frombuffer(gallery(samples, 1000), np.uint8), cv2.IMREAD_COLOR)
    rows = -(-len(samples) // 6)
    assert 288 * rows < sheet.shape[0] < (288 + 100) * rows


def test_gallery_is_not_for_train_alone(overrides, tmp_path):
    main(["gallery", *overrides, "split=train", "count=1", f"out={tmp_path / 'train.png'}"])
    assert (tmp_path / "train.png").stat().st_size > 1000


def test_stats_counts(overrides, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    main(["stats", *overrides])
    printed = capsys.readouterr().out
    samples = read_samples(overrides, "val")
    rows = {cells[0].strip(): cells[1].strip() for line in printed.splitlines() if len(cells := _cells(line)) >= 2}
    assert rows["samples"] == str(len(samples))
    assert rows["images"] == "6"
    assert rows["different sentences"] == str(len({record.expression for record in samples.records}))
    for category in {record.category for record in samples.records}:
        assert rows[category] == str(sum(record.category == category for record in samples.records))
    assert printed.count("needs") == 4  # a title and a heading for each of the two tables
    assert "category" in printed


def _cells(line: str) -> list[str]:
    return [cell for cell in line.replace("│", "┃").split("┃") if cell.strip()]


def test_the_cache_may_come_from_the_environment(cache, overrides, capsys, monkeypatch):
    monkeypatch.setenv("SBANET_CACHE", str(cache))
    main(["stats", *TINY])
    assert "different words" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data.image_sizes=64"], "no key 'data.image_sizes' in the config; did you mean"),
        (["dat=aeroscenes"], "'dat'"),
        (["data=aeroscene"], "data=aeroscene: there is no 'aeroscene' in 'data'; did you mean 'aeroscenes'"),
        (["split=validation"], "split='validation': AeroScenes has no such split; known: train, val, test"),
        (["count=abc"], "count=abc: expected a whole number of 1 or more"),
        (["count=0"], "count=0: expected a whole number of 1 or more"),
        (["count=3.5"], "count=3.5: expected a whole number of 1 or more"),
        (["out="], "out= came without a value"),
        (["data.sentence=others"], "data.sentence=others: expected own, other, none"),
        (["data.scenes_per_split.val=0"], "data.scenes_per_split.val=0: expected a whole number of 1 or more"),
        (["data.scenes.size=20"], "size=20: scenes are drawn from 64 to 1024 pixels"),
        (["data.sentence=other", "data.expressions_per_scene=1"], "no image has the sentences of two objects"),
    ],
)
@pytest.mark.parametrize("action", ["gallery", "stats"])
def test_a_mistake_ends_in_one_line(overrides, capsys, action, arguments, message):
    given = {argument.partition("=")[0] for argument in arguments}
    kept = [override for override in overrides if override.partition("=")[0] not in given]
    assert message in failure(capsys, action, *kept, *arguments)


def test_a_cache_that_cannot_be_written_ends_in_one_line(tmp_path, capsys):
    (tmp_path / "file").touch()
    line = failure(capsys, "stats", *TINY, f"paths.cache={tmp_path / 'file'}")
    assert "cannot be cached" in line
    assert "set paths.cache" in line


def test_a_picture_that_cannot_be_written_ends_in_one_line(overrides, tmp_path, capsys):
    (tmp_path / "file").touch()
    for out in (tmp_path, tmp_path / "file" / "sheet.png"):
        assert f"out={out}: cannot be written" in failure(capsys, "gallery", *overrides, "count=1", f"out={out}")


def test_a_mistyped_count_is_found_before_anything_is_drawn(tmp_path, capsys):
    assert "count=abc" in failure(capsys, "gallery", *TINY, f"paths.cache={tmp_path}", "count=abc")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("argv", [[], ["galery"]])
def test_an_unknown_action_is_refused(argv, capsys):
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2
    assert "gallery" in capsys.readouterr().err
