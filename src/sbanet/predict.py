"""`sbanet-predict`: a checkpoint, a picture and a sentence -> a mask and an overlay."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console

from sbanet.config import clear_errors, literal_arguments
from sbanet.drawing import overlay
from sbanet.errors import ConfigError, DataError
from sbanet.files import write_atomically

KEYS = ("ckpt", "image", "expression", "out")

_ABOUT = """Segment what a sentence means: sbanet-predict ckpt=PATH image=FILE expression="the red ship" [out=FOLDER].
Writes FILE_mask.png (255 = meant) and FILE_overlay.png beside each other into out (default: the current folder).
Values are taken literally, up to the end of the argument."""


@clear_errors()
def main(argv: Sequence[str] | None = None) -> None:
    """Segment from the command line; `argv` is `sys.argv` unless given."""
    parser = argparse.ArgumentParser("sbanet-predict", description=_ABOUT)
    parser.add_argument("arguments", nargs="*", metavar="KEY=VALUE")
    values, positional = literal_arguments(parser.parse_args(sys.argv[1:] if argv is None else argv).arguments, KEYS)
    if positional:
        raise ConfigError(f"{positional[0]!r}: expected key=value; known: {', '.join(KEYS)}")
    missing = [key for key in ("ckpt", "image", "expression") if key not in values]
    if missing:
        raise ConfigError(f"{', '.join(missing)} missing; say ckpt=<file> image=<file> expression=<sentence>")
    written = predict_file(values["ckpt"], values["image"], values["expression"], values.get("out", "."))
    Console().print("wrote " + " and ".join(map(str, written)), highlight=False, markup=False, soft_wrap=True)


def predict_file(ckpt: str | Path, image: str | Path, expression: str, out: str | Path) -> tuple[Path, Path]:
    """Segment one file and write the mask and the overlay.

    Returns:
        Their paths.

    Raises:
        DataError: the image or the sentence cannot be used, or the folder not be written.
        CheckpointError: the checkpoint cannot be used.
    """
    from sbanet.images import read_image
    from sbanet.inference import load_segmenter, predict

    pixels = read_image(image)
    mask = predict(load_segmenter(ckpt), pixels, expression).mask
    drawn = overlay(pixels, None, mask, size=max(pixels.shape[:2]))
    pictures = {
        Path(out) / f"{Path(image).stem}_mask.png": _png(mask.astype(np.uint8) * 255),
        Path(out) / f"{Path(image).stem}_overlay.png": _png(cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR)),
    }
    try:
        for path, picture in pictures.items():
            write_atomically(path, picture)
    except OSError as error:
        raise DataError(f"out={out}: cannot be written ({error.strerror or error})") from error
    mask_path, overlay_path = pictures
    return mask_path, overlay_path


def _png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


if __name__ == "__main__":
    main()
