"""`sbanet-predict`: two pictures, or one clear line and nothing written."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from sbanet import ReferringSegmenter
from sbanet.drawing import contour, overlay
from sbanet.errors import ConfigError
from sbanet.inference import Prediction, load_segmenter, predict
from sbanet.predict import main
from sbanet.prediction import read_device

SENTENCE = "the small ship on the left"


@pytest.fixture
def best(tiny_run: Path) -> str:
    return str(tiny_run / "checkpoints" / "best.ckpt")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "harbour (1).png"
    pixels = np.random.default_rng(0).integers(0, 256, (41, 67, 3), dtype=np.uint8)
    cv2.imwrite(str(path), cv2.GaussianBlur(pixels, (9, 9), 0))
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line with which the command ends."""
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    captured = capsys.readouterr()
    assert exit_.value.code == 2
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    return captured.err


def test_the_mask_and_the_overlay_are_written(
    best: str, image: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([f"ckpt={best}", f"image={image}", f"expression={SENTENCE}", f"out={out}"])
    mask = cv2.imread(str(out / "harbour (1)_mask.png"), cv2.IMREAD_UNCHANGED)
    expected = ReferringSegmenter.from_checkpoint(best).predict(image, SENTENCE)
    np.testing.assert_array_equal(mask, expected.astype(np.uint8) * 255)
    drawn = cv2.imread(str(out / "harbour (1)_overlay.png"))
    assert drawn.shape == (41, 67, 3)
    original = cv2.imread(str(image))
    np.testing.assert_array_equal(drawn, overlay(original[..., ::-1], None, expected, size=67)[..., ::-1])
    said = capsys.readouterr().out
    assert said.startswith(f"wrote {out / 'harbour (1)_mask.png'}, _overlay.png: ")
    assert said.count("\n") == 1
    assert sorted(path.name for path in out.iterdir()) == ["harbour (1)_mask.png", "harbour (1)_overlay.png"]


def test_the_current_folder_is_the_default(best: str, image: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out.mkdir()
    monkeypatch.chdir(out)
    main([f"ckpt={best}", f"image={image}", "expression=the man's car = left, 50%? 小船"])
    assert len(list(out.iterdir())) == 2


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"ckpt": "{folder}/bset.ckpt"}, r"bset.ckpt: no such file; there are"),
        ({"ckpt": "{image}"}, r"is no checkpoint, or a damaged one"),
        ({"image": "{out}/none.png"}, r"none.png: no such file"),
        ({"image": "{ckpt}"}, r"cannot be decoded"),
        ({"expression": "   "}, r"expression is empty"),
        ({"expression": "ship " * 500}, r"expression has 501 tokens, this model reads at most 40"),
        ({"expression": ""}, r"expression= came without a value"),
        ({"ckpt": None}, r"ckpt missing; say ckpt="),
        ({"ckpt": None, "image": None}, r"ckpt, image missing"),
        ({"expresion": "ship"}, r"unknown argument 'expresion' in 'expresion=ship'; did you mean 'expression'?"),
        ({"outputs": "mask,contuor"}, r"there is no 'contuor'; did you mean 'contour'?"),
        ({"outputs": ","}, r"outputs=,: there is no ''; known: mask, overlay, contour, probability"),
        ({"stretch": "linear"}, r"stretch=linear: expected percentile:2,98"),
        ({"device": "gpu"}, r"device=gpu: there is none; here are cpu"),
        ({"device": "meta"}, r"device=meta: there is none; here are cpu"),
        ({"device": "cuda:99"}, r"device=cuda:99: there is none; here are cpu"),
        ({"image": "{folder}"}, r"checkpoints: holds no image; expected files that end in"),
        ({"out": "{image}"}, r"cannot be written"),
        ({"out": "{image}/below"}, r"cannot be written"),
    ],
)
def test_a_mistake_is_one_clear_line_and_nothing_is_written(
    change: dict[str, str | None],
    expected: str,
    best: str,
    image: Path,
    out: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    known = {"ckpt": best, "image": str(image), "expression": SENTENCE, "out": str(out)}
    values = {
        key: value
        and value.format(folder=Path(best).parent, **{name: known[name] for name in ("image", "out", "ckpt")})
        for key, value in {**known, **change}.items()
    }
    before = sorted(tmp_path.rglob("*"))
    assert expected in refused(capsys, *(f"{key}={value}" for key, value in values.items() if value is not None))
    assert sorted(tmp_path.rglob("*")) == before


def test_an_argument_without_a_key_is_refused(best: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "expected key=value" in refused(capsys, f"ckpt={best}", "harbour.png")


def test_a_key_twice_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "ckpt came twice" in refused(capsys, "ckpt=a.ckpt", "ckpt=b.ckpt", "image=a.png", "image=b.png")


def test_a_full_disk_leaves_no_part(
    best: str, image: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    line = refused(capsys, f"ckpt={best}", f"image={image}", f"expression={SENTENCE}", f"out={out}")
    assert "No space left on device" in line
    assert list(out.iterdir()) == []


def pictures(out: Path, kind: str = "mask") -> dict[str, np.ndarray]:
    """The pictures of a kind, by the first part of their names."""
    ending = f"_{kind}.png"
    found = sorted(out.glob(f"*{ending}"))
    return {path.name.removesuffix(ending): cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in found}


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def noise(*shape: int) -> np.ndarray:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return cv2.GaussianBlur(pixels, (9, 9), 0)


def test_every_kind_of_image(best: str, tmp_path: Path, out: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    colours = noise(41, 67, 3)
    alpha = Image.fromarray(colours).convert("RGBA")
    alpha.putalpha(100)
    Image.fromarray(colours).save(folder / "colour.tif")
    Image.fromarray(colours[..., 0]).save(folder / "grey.png")
    Image.fromarray(colours[..., 0]).save(folder / "grey jpeg.JPG")
    alpha.save(folder / "alpha.png")
    alpha.save(folder / "alpha tiff.tif")
    Image.fromarray(colours[:, :1]).save(folder / "thin.png")
    Image.fromarray(colours[:1]).save(folder / "flat.jpeg")
    cv2.imwrite(str(folder / "sixteen.png"), colours * np.uint16(40))
    cv2.imwrite(str(folder / "float.tiff"), colours.astype(np.float32) / 7)
    main([f"ckpt={best}", f"image={folder}", f"expression={SENTENCE}", f"out={out}"])
    shapes = {name: mask.shape for name, mask in pictures(out).items()}
    alike = ("colour", "grey", "grey jpeg", "alpha", "alpha tiff", "sixteen", "float")
    assert shapes == {**dict.fromkeys(alike, (41, 67)), "thin": (41, 1), "flat": (1, 67)}
    assert {name: drawn.shape[:2] for name, drawn in pictures(out, "overlay").items()} == shapes
    np.testing.assert_array_equal(pictures(out)["alpha"], pictures(out)["colour"])
    np.testing.assert_array_equal(pictures(out)["alpha tiff"], pictures(out)["colour"])


@pytest.mark.parametrize("size", [(200, 20_000), (20_000, 200)])
def test_a_long_image(best: str, tmp_path: Path, out: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, "teal").save(tmp_path / "strip.png")
    main([f"ckpt={best}", f"image={tmp_path / 'strip.png'}", f"expression={SENTENCE}", f"out={out}"])
    assert pictures(out)["strip"].shape == size[::-1]


def test_the_stretch_decides(best: str, tmp_path: Path, image: Path, out: Path) -> None:
    cv2.imwrite(str(tmp_path / "wide.tif"), cv2.imread(str(image)) * np.uint16(40))
    ask = [f"ckpt={best}", f"expression={SENTENCE}", "outputs=probability"]
    main([*ask, f"image={image}", f"out={out}"])
    main([*ask, f"image={tmp_path / 'wide.tif'}", f"out={out}", "stretch=range:0,10200"])
    main([*ask, f"image={tmp_path / 'wide.tif'}", f"out={out / 'default'}"])
    found = pictures(out, "probability")
    np.testing.assert_array_equal(found["wide"], found["harbour (1)"])
    assert (found["wide"] != pictures(out / "default", "probability")["wide"]).any()


def test_outputs_are_those_that_were_asked_for(best: str, image: Path, out: Path) -> None:
    arguments = [f"ckpt={best}", f"image={image}", f"expression={SENTENCE}", f"out={out}"]
    main([*arguments, "outputs=probability,contour"])
    assert sorted(path.name for path in out.iterdir()) == ["harbour (1)_contour.png", "harbour (1)_probability.png"]
    probability = pictures(out, "probability")["harbour (1)"]
    expected = predict(ReferringSegmenter.from_checkpoint(best), image, SENTENCE)
    assert probability.dtype == np.uint16
    np.testing.assert_allclose(probability / 65535, expected.probability, atol=1e-5)
    drawn = pictures(out, "contour")["harbour (1)"]
    original = cv2.imread(str(image))
    np.testing.assert_array_equal(drawn, contour(original[..., ::-1], expected.mask)[..., ::-1])


def test_one_bad_file_among_ten(best: str, tmp_path: Path, out: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "images"
    (folder / "deeper.png").mkdir(parents=True)
    for number in range(10):
        cv2.imwrite(str(folder / f"{number}.png"), noise(20, 30, 3))
    whole = (folder / "4.png").read_bytes()
    (folder / "4.png").write_bytes(whole[: len(whole) // 2])
    for other in ("notes.txt", ".hidden.png"):
        (folder / other).write_bytes(b"no picture")
    with pytest.raises(SystemExit) as exit_:
        main([f"ckpt={best}", f"image={folder}", f"expression={SENTENCE}", f"out={out}"])
    assert exit_.value.code == 2
    said = capfd.readouterr()
    assert said.err.splitlines() == [
        f"error: image={folder / '4.png'}: cannot be decoded; expected a PNG, JPEG or TIFF file",
        "error: 1 of 10 images could not be used, as said above; the others are done",
    ]
    assert said.out.splitlines()[0] == f"{folder}: 10 images, 1 other files left out"
    assert list(pictures(out)) == list(pictures(out, "overlay")) == [*"012356789"]
    table = rows(out)
    assert [Path(row["image"]).stem for row in table] == [*"0123456789"]
    assert [Path(row["image"]).stem for row in table if row["error"]] == ["4"]
    assert (table[4]["mask"], table[4]["share"]) == ("", "")


def test_images_that_all_fail(best: str, tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [f"ckpt={best}", f"image={tmp_path / 'a.png'}", f"image={tmp_path / 'b.png'}", "expression=the ship"]
    with pytest.raises(SystemExit):
        main([*arguments, f"out={out}"])
    assert capsys.readouterr().err.splitlines()[1:] == [
        f"error: image={tmp_path / 'b.png'}: no such file",
        "error: 2 of 2 images could not be used, as said above",
    ]


def test_every_image_is_asked_every_sentence(best: str, tmp_path: Path, image: Path, out: Path) -> None:
    other = tmp_path / "other" / image.name
    other.parent.mkdir()
    cv2.imwrite(str(other), noise(20, 30, 3))
    sentences = [SENTENCE, "the ship, large", "小船", SENTENCE]
    arguments = [f"ckpt={best}", f"image={image}", *(f"expression={sentence}" for sentence in sentences)]
    main([*arguments, f"image={other}", f"image={image.parent / '.' / image.name}", f"out={out}", "outputs=mask"])
    model = ReferringSegmenter.from_checkpoint(best)
    assert {(row["image"], row["expression"]) for row in rows(out)} == {
        (str(path), sentence) for path in (image, other) for sentence in sentences
    }
    assert len(rows(out)) == len(pictures(out)) == 6
    for row in rows(out):
        mask = cv2.imread(str(out / row["mask"]), cv2.IMREAD_UNCHANGED)
        prediction = predict(model, row["image"], row["expression"])
        np.testing.assert_array_equal(mask > 0, prediction.mask)
        assert float(row["share"]) == pytest.approx(prediction.mask.mean(), abs=1e-6)
        assert float(row["peak"]) == pytest.approx(prediction.probability.max(), abs=1e-6)
    assert [row["mask"] for row in rows(out)][:3] == [
        "harbour (1)_1-the-small-ship-on-the-left_mask.png",
        "harbour (1)_2-the-ship-large_mask.png",
        "harbour (1)_3_mask.png",
    ]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("the Schiff 🚢 left", "warning: the model does not know 'schiff', '🚢' in 'the Schiff 🚢 left'"),
        ("左边的小船", "warning: the model knows no word of '左边的小船', so its answer is a guess"),
        ("🚢", "warning: the model knows no word of '🚢', so its answer is a guess"),
        ("a b c d e f g ship", "warning: the model does not know 'b', 'c', 'd', 'e', 'f', ... in 'a b c d e f g ship'"),
    ],
)
def test_words_that_the_model_cannot_read_are_named(
    best: str, image: Path, out: Path, expression: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main([f"ckpt={best}", f"image={image}", f"expression={expression}", f"out={out}"])
    assert capsys.readouterr().err == f"{expected}\n"
    assert len(list(out.iterdir())) == 2


@pytest.mark.parametrize("found", [True, False])
def test_an_empty_answer_is_said(
    best: str, image: Path, out: Path, found: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    probability = np.full((41, 67), 0.25, np.float32)
    probability[:4] = 0.875 if found else 0.375
    answer = Prediction(mask=probability > 0.5, probability=probability)
    monkeypatch.setattr("sbanet.prediction.predict_each", lambda *_: iter([answer]))
    main([f"ckpt={best}", f"image={image}", f"expression={SENTENCE}", f"out={out}"])
    expected = ("9.76% of the pixels", "0.88") if found else ("nothing found, no pixel is above 0.5", "0.38")
    assert capsys.readouterr().out.endswith("_overlay.png: {}; peak probability {}\n".format(*expected))


def test_the_device_computes(best: str, image: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = []

    def load(ckpt: str, *, device: torch.device) -> ReferringSegmenter:
        devices.append(device)
        return load_segmenter(ckpt, device=device)

    monkeypatch.setattr("sbanet.prediction.load_segmenter", load)
    main([f"ckpt={best}", f"image={image}", f"expression={SENTENCE}", f"out={out}", "device=cpu:0"])
    assert devices == [torch.device("cpu", 0)]
    assert len(pictures(out)) == 1


def test_devices_are_known_by_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    assert [read_device(text) for text in ("cpu", "cuda", "cuda:1")] == [
        torch.device(t) for t in ("cpu", "cuda", "cuda:1")
    ]
    with pytest.raises(ConfigError, match=r"^device=cuda:2: there is none; here are cpu, cuda:0 to cuda:1$"):
        read_device("cuda:2")


def test_a_device_that_is_full_is_one_line(
    best: str, image: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> Iterator[Prediction]:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        yield

    monkeypatch.setattr("sbanet.prediction.predict_each", full)
    line = refused(capsys, f"ckpt={best}", f"image={image}", f"expression={SENTENCE}", f"out={out}")
    assert line == "error: device=cpu: has too little free memory; wait for others, or use device=cpu\n"


def test_no_sentence_is_used_where_one_cannot_be(
    best: str, image: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, f"ckpt={best}", f"image={image}", f"out={out}", "expression=ship", "expression=  ")
    assert "expression is empty" in line
    assert not out.exists()


def test_a_folder_of_real_images(best: str, sbanet_data: Path, out: Path) -> None:
    folder = sbanet_data / "rrsisd_images"
    main([f"ckpt={best}", f"image={folder}", "expression=the ship", f"out={out}", "outputs=mask"])
    assert {path.stem: cv2.imread(str(path)).shape[:2] for path in folder.iterdir() if path.suffix != ".json"} == {
        name: mask.shape for name, mask in pictures(out).items()
    }


def test_results_never_take_the_place_of_images(
    best: str, image: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = image.parent
    content = image.read_bytes()
    shown = folder / "harbour (1)_overlay.png"
    shown.write_bytes(content)
    ask = [f"ckpt={best}", f"expression={SENTENCE}", f"out={folder}"]
    assert "is an image to read and would be overwritten" in refused(capsys, *ask, f"image={image}", f"image={shown}")
    assert "is the folder of the images; say another folder" in refused(capsys, *ask, f"image={folder}")
    assert shown.read_bytes() == content


@pytest.mark.slow
def test_the_command_runs_by_its_module(best: str, image: Path, out: Path) -> None:
    arguments = [f"ckpt={best}", f"image={image}", f"expression={SENTENCE}", f"out={out}"]
    done = subprocess.run(
        [sys.executable, "-m", "sbanet.predict", *arguments], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(out.iterdir())) == 2
    failed = subprocess.run(
        [sys.executable, "-m", "sbanet.predict", "ckpt=none.ckpt"], capture_output=True, text=True, check=False
    )
    assert (failed.returncode, failed.stderr.count("\n")) == (2, 1)
