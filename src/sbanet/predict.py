"""`sbanet-predict`: a checkpoint, pictures and sentences -> masks, and pictures that show them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from sbanet.config import clear_errors, repeatable_arguments
from sbanet.config.suggest import did_you_mean
from sbanet.errors import ConfigError, DataError
from sbanet.files import write_atomically
from sbanet.images import DEFAULT_STRETCH, Stretch, read_image
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

if TYPE_CHECKING:
    import numpy as np

    from sbanet.models.segmenter import ReferringSegmenter

ONCE = ("ckpt", "out", "outputs", "stretch")
REPEATABLE = ("image", "expression")
REQUIRED = ("ckpt", "image", "expression")

DEFAULT_OUTPUTS = ("mask", "overlay")

SHOWN_WORDS = 5
"""Words that a warning names of those that a model cannot read."""

_ABOUT = """Segment what a sentence means: sbanet-predict ckpt=PATH image=FILE expression="the red ship".
image=... is a file or a folder; image and expression may be given several times, and every image is asked every
sentence. Writes FILE_mask.png (255 = meant) and FILE_overlay.png into out=FOLDER (default: the current one), and of
several images or sentences predictions.csv.
outputs=mask,overlay,contour,probability says which pictures; probability is a 16-bit PNG, 65535 = 1. All have the
image's own size and stand as viewers show it; the tags of a GeoTIFF are not carried over.
stretch=percentile:2,98 (the default), minmax or range:0,10000 makes 8 bits of a 16-bit or float image.
Values are taken literally, up to the end of the argument."""


@clear_errors()
def main(argv: Sequence[str] | None = None) -> None:
    """Segment from the command line; `argv` is `sys.argv` unless given."""
    parser = argparse.ArgumentParser("sbanet-predict", description=_ABOUT)
    parser.add_argument("arguments", nargs="*", metavar="KEY=VALUE")
    arguments = parser.parse_args(sys.argv[1:] if argv is None else argv).arguments
    once, repeated, positional = repeatable_arguments(arguments, ONCE, REPEATABLE)
    if positional:
        raise ConfigError(f"{positional[0]!r}: expected key=value; known: {', '.join((*ONCE, *REPEATABLE))}")
    missing = [key for key in REQUIRED if key not in {**once, **repeated}]
    if missing:
        raise ConfigError(f"{', '.join(missing)} missing; say ckpt=<file> image=<file> expression=<sentence>")
    answers = predict_files(
        once["ckpt"],
        repeated["image"],
        repeated["expression"],
        once.get("out", "."),
        outputs=read_outputs(once["outputs"]) if "outputs" in once else DEFAULT_OUTPUTS,
        stretch=Stretch.parse(once["stretch"]) if "stretch" in once else DEFAULT_STRETCH,
        say=_say,
    )
    images = {answer.image for answer in answers}
    failed = {answer.image for answer in answers if answer.error}
    if failed:
        rest = "; the others are done" * (failed != images)
        raise DataError(f"{len(failed)} of {len(images)} images could not be used, as said above{rest}")


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


def predict_files(
    ckpt: str | Path,
    images: Sequence[str | Path],
    expressions: Sequence[str],
    out: str | Path,
    *,
    outputs: Sequence[str] = DEFAULT_OUTPUTS,
    stretch: Stretch = DEFAULT_STRETCH,
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
        say: is called as `say(line, is_error)` with what a user wants to know on the way.

    Returns:
        An answer for each image and sentence, the failed ones included.

    Raises:
        DataError: the only image or a sentence cannot be used, a folder holds no image, or `out` cannot be written.
        ConfigError: the results would take the place of images.
        CheckpointError: the checkpoint cannot be used.
    """
    from sbanet.inference import check_expression, load_segmenter

    out = Path(out)
    files, lines = find_images(images, out)
    sentences = list(dict.fromkeys(expressions))
    model = load_segmenter(ckpt)
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
        for sentence, start in zip(sentences, row, strict=True):
            answers.append(_answer(model, image, pixels, sentence, start, outputs))
            say(_described(answers[-1]), False)
    if len(answers) > 1:
        _write(out / TABLE, table(answers, outputs))
        say(f"wrote {out / TABLE}", False)
    return answers


def _answer(
    model: ReferringSegmenter, image: Path, pixels: np.ndarray, sentence: str, start: Path, outputs: Sequence[str]
) -> Answer:
    """Ask and write; `pixels` (H, W, 3) uint8 RGB, and the files' paths begin with `start`."""
    from sbanet.inference import predict

    prediction = predict(model, pixels, sentence)
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
    from sbanet.inference import unread_words

    words, nothing_read = unread_words(model, sentence)
    which = ", ".join(map(repr, words[:SHOWN_WORDS])) + ", ..." * (len(words) > SHOWN_WORDS)
    start = sentence[:40] + "..." * (len(sentence) > 40)
    if nothing_read:
        say(f"warning: the model knows no word of {start!r}, so its answer is a guess", True)
    elif words:
        say(f"warning: the model does not know {which} in {start!r}", True)


def _say(line: str, is_error: bool) -> None:
    printable = line.encode(errors="backslashreplace").decode()  # file names need not be UTF-8
    Console(stderr=is_error).print(printable, highlight=False, markup=False, emoji=False, soft_wrap=True)


if __name__ == "__main__":
    main()
