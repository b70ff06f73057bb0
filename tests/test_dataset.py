"""`sbanet-data gallery|preview|stats|check|convert`."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from sbanet.data.sampling import Draw, sample_seed
from sbanet.dataset import main
from sbanet.dataset_actions import read_samples
from sbanet.dataset_pictures import gallery
from sbanet.drawing import GAP

from .tiny_phrases import write_phrases

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


def test_preview_shows_samples_as_they_came_and_as_training_sees_them(overrides, tmp_path):
    out = tmp_path / "preview.png"
    main(["preview", *overrides, "data/augmentation=aerial", "count=2", f"out={out}"])
    sheet = cv2.cvtColor(cv2.imread(str(out)), cv2.COLOR_BGR2RGB)
    assert sheet.shape[1] == 4 * 288 + 3 * GAP
    samples = read_samples([*overrides, "data/augmentation=aerial"], "train")
    seen = [samples.dataset.image(samples.records[0])]
    seen += [samples[Draw(0, sample_seed(1, epoch, 0))].image for epoch in range(3)]
    for column, image in enumerate(seen):
        tile = sheet[:288, column * (288 + GAP) :][:, :288]
        shown = cv2.resize(image, (288, 288), interpolation=cv2.INTER_CUBIC)
        assert np.mean((tile == shown).all(axis=2)) > 0.8
    assert not all(np.array_equal(seen[0], image) for image in seen[1:])


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
        (["split="], "split= came without a value"),
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


@pytest.mark.parametrize("action", ["gallery", "preview"])
@pytest.mark.parametrize("count", ["abc", "0", "3.5"])
def test_a_count_that_is_none_ends_in_one_line(capsys, action, count):
    assert f"count={count}: expected a whole number of 1 or more" in failure(capsys, action, f"count={count}")


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


def test_check_prints_and_exits(tmp_path, capsys):
    root = write_phrases(tmp_path / "data", {"train": 3, "val": 2, "test": 2})
    dataset = ["data=refsegrs", f"data.root={root}", "data.published={train: 3, val: 2, test: 2}"]
    main(["check", *dataset])
    assert "ok: nothing that changes numbers" in capsys.readouterr().out
    (root / "masks" / "5.tif").write_bytes(b"")
    main(["check", *dataset, "pixels=false"])
    assert "not checked: images and masks (pixels=false)" in capsys.readouterr().out
    with pytest.raises(SystemExit) as found:
        main(["check", *dataset, "format=json"])
    assert found.value.code == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["sound"], told["counts"]) == (False, {"train": 3, "val": 2, "test": 2})
    [finding] = [one for one in told["findings"] if one["severity"] == "numbers"]
    assert (finding["kind"], finding["split"], finding["count"]) == ("image or mask that cannot be used", "val", 1)
    assert finding["where"] == [
        f"image={root / 'masks' / '5.tif'}: cannot be decoded; expected a PNG, JPEG or TIFF file"
    ]


def test_check_lists_annotations_that_cannot_be_read(tmp_path, capsys):
    root = write_phrases(tmp_path / "data", {"train": 3, "val": 2})
    with pytest.raises(SystemExit) as found:
        main(["check", "data=refsegrs", f"data.root={root}", "data.published=null"])
    assert found.value.code == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "annotations that cannot be read" in printed


def test_check_says_what_it_could_not_check(tmp_path, capsys):
    root = write_phrases(tmp_path / "data", {"train": 3, "val": 2, "test": 2})
    encoder = ["model/text_encoder=transformers", f"model.text_encoder.source={tmp_path / 'none'}"]
    main(["check", "data=refsegrs", f"data.root={root}", "data.published=null", *encoder])
    assert "not checked: cut sentences and unknown words (" in capsys.readouterr().out


def test_a_converted_dataset_is_read_by_all_commands(tmp_path, capsys):
    root = write_phrases(tmp_path / "data", {"train": 3, "val": 2, "test": 2})
    out = tmp_path / "open"
    main(["convert", "data=refsegrs", f"data.root={root}", f"out={out}", "files=link"])
    assert "wrote 7 samples; read them by data=open data.name=refsegrs data.root=" in capsys.readouterr().out
    main(["check", "data=open", f"data.root={out}"])
    main(["stats", "data=open", f"data.root={out}", "split=train"])
    assert "samples" in capsys.readouterr().out
    assert "out is missing" in failure(capsys, "convert", "data=refsegrs", f"data.root={root}")
    assert "files=move: expected copy, link" in failure(capsys, "convert", *TINY, f"out={out}", "files=move")
    assert "format=xml: expected table, json" in failure(capsys, "check", *TINY, "format=xml")
