"""`sbanet-predict`: a checkpoint, pictures and sentences -> masks, and pictures that show them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console

from sbanet.config import clear_errors, repeatable_arguments
from sbanet.errors import ConfigError, DataError

ONCE = ("ckpt", "out", "outputs", "stretch", "device")
REPEATABLE = ("image", "expression")
REQUIRED = ("ckpt", "image", "expression")

_ABOUT = """Segment what a sentence means: sbanet-predict ckpt=PATH image=FILE expression="the red ship".
image=... is a file or a folder; image and expression may be given several times, and every image is asked every
sentence. Writes FILE_mask.png (255 = meant) and FILE_overlay.png into out=FOLDER (default: the current one), and of
several images or sentences predictions.csv.
outputs=mask,overlay,contour,probability says which pictures; probability is a 16-bit PNG, 65535 = 1. All have the
image's own size and stand as viewers show it; the tags of a GeoTIFF are not carried over.
stretch=percentile:2,98 (the default), minmax or range:0,10000 makes 8 bits of a 16-bit or float image.
device=cuda computes on a GPU.
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

    from sbanet.images import DEFAULT_STRETCH, Stretch
    from sbanet.prediction import DEFAULT_OUTPUTS, enough_memory, predict_files, read_device, read_outputs

    outputs = read_outputs(once["outputs"]) if "outputs" in once else DEFAULT_OUTPUTS
    stretch = Stretch.parse(once["stretch"]) if "stretch" in once else DEFAULT_STRETCH
    device = read_device(once.get("device", "cpu"))
    with enough_memory(device):
        answers = predict_files(
            once["ckpt"],
            repeated["image"],
            repeated["expression"],
            once.get("out", "."),
            outputs=outputs,
            stretch=stretch,
            device=device,
            say=_say,
        )
    images = {answer.image for answer in answers}
    failed = {answer.image for answer in answers if answer.error}
    if failed:
        rest = "; the others are done" * (failed != images)
        raise DataError(f"{len(failed)} of {len(images)} images could not be used, as said above{rest}")


def _say(line: str, is_error: bool) -> None:
    printable = line.encode(errors="backslashreplace").decode()  # file names need not be UTF-8
    Console(stderr=is_error).print(printable, highlight=False, markup=False, emoji=False, soft_wrap=True)


if __name__ == "__main__":
    main()
