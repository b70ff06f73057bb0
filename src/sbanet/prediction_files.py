"""Which images a prediction reads, and which files it leaves."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from sbanet.drawing import contour, overlay
from sbanet.errors import ConfigError, DataError
from sbanet.images import SUFFIXES

TABLE = "predictions.csv"

Draw = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""`(image, mask, probability)` at the image's own size -> a picture, its colours in OpenCV's order."""

OUTPUTS: dict[str, Draw] = {
    "mask": lambda image, mask, probability: mask.astype(np.uint8) * 255,
    "overlay": lambda image, mask, probability: overlay(image, None, mask, size=max(image.shape[:2]))[..., ::-1],
    "contour": lambda image, mask, probability: contour(image, mask)[..., ::-1],
    "probability": lambda image, mask, probability: np.rint(probability * np.float64(65535)).astype(np.uint16),
}
"""The pictures that a prediction can leave, by the last word of their files' names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of one image and one sentence.

    Attributes:
        image: the file.
        expression: the sentence.
        files: the pictures written, by output.
        share: of the image's pixels, how many are meant; in [0, 1].
        peak: the highest probability of a pixel.
        error: why there is none; empty where there is.
    """

    image: Path
    expression: str
    files: dict[str, Path] = field(default_factory=dict)
    share: float = 0.0
    peak: float = 0.0
    error: str = ""


def find_images(places: Iterable[str | Path], out: Path) -> tuple[list[Path], list[str]]:
    """The files that are named, and the image files of the folders that are named, each once.

    A folder's files are told by their suffix, taken in the order of their names, and not from folders below it.

    Args:
        places: files and folders; a file need not be there.
        out: the folder of the results.

    Returns:
        The files, and a line a folder that says how many it has.

    Raises:
        DataError: a folder holds no image, or cannot be listed.
        ConfigError: a folder of images is that of the results, which a second run would take for images.
    """
    found: dict[Path, Path] = {}
    lines = []
    for place in map(Path, places):
        files = [place]
        if place.is_dir():
            if place.resolve() == out.resolve():
                raise ConfigError(f"out={out}: is the folder of the images; say another folder for the results")
            files, others = _listed(place)
            lines.append(f"{place}: {len(files)} images" + f", {others} other files left out" * (others > 0))
        found |= {file.resolve(): file for file in files}
    return list(found.values()), lines


def _listed(folder: Path) -> tuple[list[Path], int]:
    """The images of a folder, and how many other files it holds."""
    try:
        files = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    except OSError as error:
        raise DataError(f"image={folder}: cannot be listed ({error.strerror or error})") from error
    images = [file for file in files if file.suffix.lower() in SUFFIXES]
    if not images:
        raise DataError(f"image={folder}: holds no image; expected files that end in {', '.join(SUFFIXES)}")
    return images, len(files) - len(images)


def image_labels(images: Iterable[Path]) -> Iterator[str]:
    """How the results of each image begin: its name without the suffix; with it, or numbered, where that is taken."""
    taken: set[str] = set()

    def candidates(image: Path) -> Iterator[str]:
        yield image.stem
        yield f"{image.stem}_{image.suffix.lstrip('.')}"
        number = 2
        while True:
            yield f"{image.stem}_{number}"
            number += 1

    for image in images:
        label = next(label for label in candidates(image) if label.casefold() not in taken)
        taken.add(label.casefold())  # some file systems hold A.png and a.png for one
        yield label


def expression_labels(expressions: Sequence[str]) -> list[str]:
    """What tells the results of one sentence from another's: nothing where there is one, else a number and words."""
    if len(expressions) == 1:
        return [""]
    labels = []
    for number, expression in enumerate(expressions, 1):
        words = re.sub(r"[^a-z0-9]+", "-", expression.lower())[:40].strip("-")
        # No underscore within: what stands between two of them is one part, so no two names are equal.
        labels.append("_" + "-".join([f"{number:0{len(str(len(expressions)))}}", *filter(None, [words])]))
    return labels


def refuse_overwriting(images: Iterable[Path], files: Iterable[Path]) -> None:
    """Refuse results that would take the place of an image.

    Raises:
        ConfigError: a result has the path of an image.
    """
    inputs = {image.resolve() for image in images}
    for file in files:
        if file.resolve() in inputs:
            raise ConfigError(f"{file}: is an image to read and would be overwritten; say another folder by out=")


def table(answers: Iterable[Answer], outputs: Sequence[str]) -> bytes:
    """The answers as CSV, a row each; the pictures by their names in the table's own folder."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["image", "expression", *outputs, "share", "peak", "error"])
    for answer in answers:
        names = [answer.files[output].name if answer.files else "" for output in outputs]
        numbers = ["", ""] if answer.error else [f"{answer.share:.6f}", f"{answer.peak:.6f}"]
        writer.writerow([answer.image, answer.expression, *names, *numbers, answer.error])
    return text.getvalue().encode(errors="backslashreplace")  # file names need not be UTF-8


def png(pixels: np.ndarray) -> bytes:
    """A picture, its colours in OpenCV's order, as PNG."""
    return cv2.imencode(".png", pixels)[1].tobytes()
