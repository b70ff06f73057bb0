"""`sbanet-predict`: two pictures, or one clear line and nothing written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from sbanet import ReferringSegmenter
from sbanet.predict import main

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
    assert (drawn != cv2.imread(str(image))).any() == bool(expected.any())
    said = capsys.readouterr().out
    assert "harbour (1)_mask.png" in said
    assert "harbour (1)_overlay.png" in said
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


def test_a_key_twice_is_refused(best: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "image came twice" in refused(capsys, f"ckpt={best}", "image=a.png", "image=b.png")


def test_a_full_disk_leaves_no_part(
    best: str, image: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    line = refused(capsys, f"ckpt={best}", f"image={image}", f"expression={SENTENCE}", f"out={out}")
    assert "No space left on device" in line
    assert list(out.iterdir()) == []


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
