"""A checkpoint, pictures and sentences -> files: masks, pictures that show them, and a table of several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import torch

from sbanet.config.suggest import did_you_mean
from sbanet.errors import ConfigError, DataError
from sbanet.files import write_atomically
from sbanet.images import DEFAULT_STRETCH, Stretch, read_image
from sbanet.inference import Prediction, check_expression, load_segmenter, predict_each, unread_words
from sbanet.models.segmenter import ReferringSegmenter
from sbanet.prediction_files import (
    OUTPUTS,
    TABLE,
    Answer,
    expression_labels,
    find_images,
    image_labels,
    png,
    refuse_overwriting,
    table,
)

DEFAULT_OUTPUTS = ("mask", "overlay")

SHOWN_WORDS = 5
"""Words that a warning names of those that a model cannot read."""


def read_outputs(text: str) -> tuple[str, ...]:
    """`mask,contour` as its parts, each once.

    Raises:
        ConfigError: one is not known.
    """
    outputs = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    for output in outputs:
        if output not in OUTPUTS:
            raise ConfigError(
                f"outputs={text}: there is no '{output}'{did_you_mean(output, OUTPUTS)}; known: {', '.join(OUTPUTS)}"
            )
    return outputs


def read_device(text: str) -> torch.device:
    """`cuda`, `cuda:1`, ... as the device that computes.

    Raises:
        ConfigError: there is none of this name here.
    """
    numbers = {"cpu": 1}
    if (accelerator := torch.accelerator.current_accelerator(check_available=True)) is not None:
        numbers[accelerator.type] = torch.accelerator.device_count()
    with suppress(RuntimeError):  # where it is no name of torch's
        device = torch.device(text)
        if (device.index or 0) < numbers.get(device.type, 0):
            return device
    raise ConfigError(f"device={text}: there is none; here are {_devices(numbers)}")


def _devices(numbers: Mapping[str, int]) -> str:
    """`cpu, cuda:0 to cuda:3`."""
    return ", ".join(kind if number == 1 else f"{kind}:0 to {kind}:{number - 1}" for kind, number in numbers.items())


@contextmanager
def enough_memory(device: torch.device) -> Iterator[None]:
    """Say in one line that a device is full.

    Raises:
        ConfigError: it is.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ConfigError(f"device={device}: has too little free memory; wait for others, or use device=cpu") from error


def predict_files(
    ckpt: str | Path,
    images: Sequence[str | Path],
    expressions: Sequence[str],
    out: str | Path,
    *,
    outputs: Sequence[str] = DEFAULT_OUTPUTS,
    stretch: Stretch = DEFAULT_STRETCH,
    device: torch.device | str = "cpu",
    say: Callable[[str, bool], None] = lambda line, is_error: None,
) -> list[Answer]:
    """Ask every image every sentence and write the answers; of several, also a table.

    One image that cannot be used does not keep the others from being done; if it is the only one, it is an error.

    Args:
        ckpt: the checkpoint.
        images: files and folders.
        expressions: at least one.
        out: the folder to write to.
        outputs: of `OUTPUTS`.
        stretch: for images that are not 8-bit.
        device: what computes.
        say: is called as `say(line, is_error)` with what a user wants to know on the way.

    Returns:
        An answer for each image and sentence, the failed ones included.

    Raises:
        DataError: the only image or a sentence cannot be used, a folder holds no image, or `out` cannot be written.
        ConfigError: the results would take the place of images.
        CheckpointError: the checkpoint cannot be used.
    """
    out = Path(out)
    files, lines = find_images(images, out)
    sentences = list(dict.fromkeys(expressions))
    model = load_segmenter(ckpt, device=device)
    for sentence in sentences:
        check_expression(model, sentence)
    starts = [[out / f"{image}{label}" for label in expression_labels(sentences)] for image in image_labels(files)]
    refuse_overwriting(files, (_picture(start, output) for row in starts for start in row for output in outputs))
    for line in lines:
        say(line, False)
    for sentence in sentences:
        _warn_of_unread_words(model, sentence, say)
    answers: list[Answer] = []
    for image, row in zip(files, starts, strict=True):
        try:
            pixels = read_image(image, stretch=stretch)
        except DataError as error:
            if len(files) == 1:
                raise
            say(f"error: {error}", True)
            answers += [Answer(image=image, expression=sentence, error=str(error)) for sentence in sentences]
            continue
        for sentence, start, prediction in zip(sentences, row, predict_each(model, pixels, sentences), strict=True):
            answers.append(_answer(image, pixels, sentence, prediction, start, outputs))
            say(_described(answers[-1]), False)
    if len(answers) > 1:
        _write(out / TABLE, table(answers, outputs))
        say(f"wrote {out / TABLE}", False)
    return answers


def _answer(
    image: Path, pixels: np.ndarray, sentence: str, prediction: Prediction, start: Path, outputs: Sequence[str]
) -> Answer:
    """Write what was predicted; `pixels` (H, W, 3) uint8 RGB, and the files' paths begin with `start`."""
    files = {output: _picture(start, output) for output in outputs}
    for output, path in files.items():
        _write(path, png(OUTPUTS[output](pixels, prediction.mask, prediction.probability)))
    share, peak = float(prediction.mask.mean()), float(prediction.probability.max())
    return Answer(image=image, expression=sentence, files=files, share=share, peak=peak)


def _picture(start: Path, output: str) -> Path:
    return start.with_name(f"{start.name}_{output}.png")


def _write(path: Path, content: bytes) -> None:
    try:
        write_atomically(path, content)
    except OSError as error:
        raise DataError(f"out={path.parent}: cannot be written ({error.strerror or error})") from error


def _described(answer: Answer) -> str:
    first, *others = answer.files.items()
    files = ", ".join([str(first[1]), *(f"_{output}.png" for output, _ in others)])
    found = f"{100 * answer.share:.3g}% of the pixels" if answer.share else "nothing found, no pixel is above 0.5"
    return f"wrote {files}: {found}; peak probability {answer.peak:.2f}"


def _warn_of_unread_words(model: ReferringSegmenter, sentence: str, say: Callable[[str, bool], None]) -> None:
    words, nothing_read = unread_words(model, sentence)
    which = ", ".join(map(repr, words[:SHOWN_WORDS])) + ", ..." * (len(words) > SHOWN_WORDS)
    start = sentence[:40] + "..." * (len(sentence) > 40)
    if nothing_read:
        say(f"warning: the model knows no word of {start!r}, so its answer is a guess", True)
    elif words:
        say(f"warning: the model does not know {which} in {start!r}", True)
