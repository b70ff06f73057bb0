"""`sbanet-data`: look at a dataset before a model does: draw, preview, count, check, convert."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from sbanet.config import clear_errors, split_literal

KEYS = {
    "gallery": ("split", "count", "out"),
    "preview": ("count", "out"),
    "stats": ("split",),
    "check": ("format", "pixels"),
    "convert": ("out", "files"),
}
"""The arguments of each action that are no config."""

_ABOUT = """Look at a dataset: sbanet-data gallery|preview|stats|check|convert [data=aeroscenes] [data.KEY=VALUE].
gallery writes a contact sheet of samples with their sentences (split=val, count=24, out=gallery.png); preview shows
training samples before and after augmentation, as the first epochs see them (count=6, out=preview.png); stats counts
categories, skills, sizes and words (split=val); check compares all splits with what is published, and looks for files,
masks, ids, sentences and images that spoil numbers (pixels=false leaves the files unread; format=json; model/... says
whose tokenizer counts); its exit code is 1 where a finding changes numbers. convert writes all splits as Parquet and
images to out=FOLDER (files=link leaves the images where they are), which data=open reads."""


@clear_errors()
def main(argv: Sequence[str] | None = None) -> None:
    """Look at a dataset from the command line; `argv` is `sys.argv` unless given."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser("sbanet-data", description=_ABOUT)
    parser.add_argument("action", choices=tuple(KEYS))
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    arguments = parser.parse_args(sys.argv[1:] if argv is None else argv)
    literal, overrides = split_literal(arguments.overrides, KEYS[arguments.action])

    from sbanet.dataset_actions import ACTIONS

    ACTIONS[arguments.action](overrides, literal)


if __name__ == "__main__":
    main()
