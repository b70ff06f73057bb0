"""Which images are read, and that no two results have one name."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from sbanet.errors import ConfigError, DataError
from sbanet.prediction_files import Answer, expression_labels, find_images, image_labels, refuse_overwriting, table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    (folder / "below.png").mkdir(parents=True)
    for name in ("b.PNG", "a.jpg", "c.tiff", ".hidden.png", "notes.txt", "a.jpg.aux.xml", "below.png/d.png"):
        (folder / name).touch()
    return folder


def test_a_folder_gives_its_images_in_order(folder: Path, tmp_path: Path) -> None:
    images, lines = find_images([folder], tmp_path / "out")
    assert [image.name for image in images] == ["a.jpg", "b.PNG", "c.tiff"]
    assert lines == [f"{folder}: 3 images, 2 other files left out"]


def test_a_file_is_taken_as_it_is_named_and_once(folder: Path, tmp_path: Path) -> None:
    places = [folder / "notes.txt", folder / "c.tiff", folder, folder / "below.png" / ".." / "a.jpg", tmp_path / "none"]
    images, _ = find_images(places, tmp_path / "out")
    assert [image.name for image in images] == ["notes.txt", "c.tiff", "a.jpg", "b.PNG", "none"]


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=r"holds no image; expected files that end in \.bmp, .*\.webp"):
        find_images([tmp_path], tmp_path / "out")


def test_a_folder_that_is_the_output_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="is the folder of the images"):
        find_images([folder], folder / "below.png" / "..")


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (["x/a.jpg", "y/b.png"], ["a", "b"]),
        (["x/a.jpg", "x/a.png", "y/a.png", "z/a.png"], ["a", "a_png", "a_2", "a_3"]),
        (["a.jpg", "A.png"], ["a", "A_png"]),
        (["a_png.jpg", "a.jpg", "a.png"], ["a_png", "a", "a_2"]),
        (["a", "b/a"], ["a", "a_"]),
        (["a.b.png", ".png"], ["a.b", ".png"]),
    ],
)
def test_images_of_one_name_are_told_apart(images: list[str], expected: list[str]) -> None:
    assert list(image_labels(map(Path, images))) == expected


def test_sentences_are_told_apart() -> None:
    assert expression_labels(["The ship!"]) == [""]
    assert expression_labels(["The ship!", "小船", "the_ship/..", "a" * 500]) == [
        "_1-the-ship",
        "_2",
        "_3-the-ship",
        "_4-" + "a" * 40,
    ]
    assert expression_labels(["x"] * 10)[0] == "_01-x"


def test_no_two_results_have_one_name() -> None:
    images = [Path(name) for name in ("a.png", "a_2-b.png", "a_1-a.png", "a_1-a_2-b.png")]
    names = [
        f"{image}{label}_{output}"
        for image in image_labels(images)
        for label in expression_labels(["a", "b", "a_2-b", "2-b"])
        for output in ("mask", "overlay")
    ]
    assert len(set(names)) == len(names) == 32


def test_an_image_is_not_overwritten(tmp_path: Path) -> None:
    refuse_overwriting([tmp_path / "a.png"], [tmp_path / "a_mask.png"])
    with pytest.raises(ConfigError, match="would be overwritten"):
        refuse_overwriting([tmp_path / "a_mask.png"], [tmp_path / "x" / ".." / "a_mask.png"])


def test_the_table_holds_any_text() -> None:
    answers = [
        Answer(
            image=Path("a,b\udcff.png"),
            expression='the "ship",\n小船',
            files={"mask": Path("out/m.png")},
            share=0.25,
            peak=0.5,
        ),
        Answer(image=Path("bad.png"), expression="ship", error="no such file"),
    ]
    read = list(csv.DictReader(io.StringIO(table(answers, ["mask"]).decode(), newline="")))
    assert read == [
        {
            "image": "a,b\\udcff.png",
            "expression": 'the "ship",\n小船',
            "mask": "m.png",
            "share": "0.250000",
            "peak": "0.500000",
            "error": "",
        },
        {"image": "bad.png", "expression": "ship", "mask": "", "share": "", "peak": "", "error": "no such file"},
    ]
