"""`sbanet-import`: a checkpoint of the official LAVT or RMSIN -> one of ours."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from sbanet.config import clear_errors, repeatable_arguments
from sbanet.console import console
from sbanet.errors import ConfigError, DataError

KEYS = ("fusion_heads", "layout", "vocabulary")

_ABOUT = """Make a checkpoint of a released one: sbanet-import RMSIN.pth rmsin.ckpt
LAVT and RMSIN are recognised, and their sizes read off the weights. What a file cannot tell:
fusion_heads=1,1,1,1 (the official --mha 1-1-1-1), layout=released or intended (of RMSIN's aggregator),
vocabulary=FOLDER (of the text encoder; bert-base-uncased's where it is not given)."""


@clear_errors()
def main(argv: Sequence[str] | None = None) -> None:
    """Import from the command line; `argv` is `sys.argv` unless given."""
    parser = argparse.ArgumentParser("sbanet-import", description=_ABOUT)
    parser.add_argument("arguments", nargs="*", metavar="FILE|KEY=VALUE")
    arguments = parser.parse_args(sys.argv[1:] if argv is None else argv).arguments
    options, _, files = repeatable_arguments(arguments, KEYS, ())
    if len(files) != 2:
        raise ConfigError(f"got {len(files)} files, expected two: sbanet-import <official file> <checkpoint to write>")
    layout = read_layout(options.get("layout", "released"))
    heads = read_heads(options["fusion_heads"]) if "fusion_heads" in options else None

    from sbanet.interop.official_files import import_official
    from sbanet.training.complexity import count_parameters

    source, target = map(Path, files)
    try:
        model = import_official(source, target, fusion_heads=heads, layout=layout, vocabulary=options.get("vocabulary"))
    except OSError as error:
        raise DataError(f"{target}: cannot be written ({error.strerror or error})") from error
    size = count_parameters(model) / 1e6
    console().print(f"wrote {target}: {size:.1f} M parameters, every key of {source} in its place", soft_wrap=True)


def read_layout(text: str) -> Literal["released", "intended"]:
    """The layout of RMSIN's aggregator.

    Raises:
        ConfigError: it is none.
    """
    if text == "released":
        return "released"
    if text == "intended":
        return "intended"
    raise ConfigError(f"layout={text}: expected released or intended")


def read_heads(text: str) -> list[int]:
    """`1,2,4,8` or, as officially, `1-2-4-8`.

    Raises:
        ConfigError: they are not four whole numbers.
    """
    numbers = text.replace("-", ",").split(",")
    if len(numbers) != 4 or not all(number.strip().isdigit() for number in numbers):
        raise ConfigError(f"fusion_heads={text}: expected four whole numbers, one a stage, as 1,1,1,1")
    return [int(number) for number in numbers]


if __name__ == "__main__":
    main()
