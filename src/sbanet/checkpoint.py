"""`sbanet-checkpoint`: what a checkpoint holds, and where two of them differ."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from sbanet.config import clear_errors
from sbanet.console import console
from sbanet.errors import ConfigError

_ABOUT = """Look into checkpoints: sbanet-checkpoint info last.ckpt
sbanet-checkpoint diff one.ckpt other.ckpt: the keys of the config, and the weights, that are not the same."""

FILES = {"info": 1, "diff": 2}
"""The number of files that each word takes."""


@clear_errors()
def main(argv: Sequence[str] | None = None) -> None:
    """Look into checkpoints from the command line; `argv` is `sys.argv` unless given.

    The arguments are taken as they are: a file may be called `epoch=3.ckpt`.
    """
    parser = argparse.ArgumentParser("sbanet-checkpoint", description=_ABOUT)
    parser.add_argument("word", choices=FILES)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    arguments = parser.parse_args(sys.argv[1:] if argv is None else argv)
    if len(arguments.files) != FILES[arguments.word]:
        raise ConfigError(
            f"got {len(arguments.files)} files, expected {FILES[arguments.word]}: "
            f"sbanet-checkpoint {arguments.word} {' '.join(['FILE'] * FILES[arguments.word])}"
        )

    from sbanet.checkpoint_contents import diff, info
    from sbanet.inference import read_checkpoint

    contents = [read_checkpoint(file) for file in arguments.files]
    rows: Sequence[tuple[str, ...]] = info(*contents) if arguments.word == "info" else diff(*contents)
    if not rows:
        console().print("the same config, weights and progress")
        return
    table = Table("", *map(str, arguments.files))
    for row in rows:
        table.add_row(*row)
    console().print(table)


if __name__ == "__main__":
    main()
