"""`sbanet-data`: look at a dataset before a model does. `gallery` draws a contact sheet, `stats` counts."""

from __future__ import annotations

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from hydra.utils import instantiate
from rich.console import Console
from rich.table import Table

from sbanet.config import clear_errors, compose, split_literal
from sbanet.data.batching import Samples
from sbanet.data.datamodules import ReferringDataModule
from sbanet.data.records import Record
from sbanet.drawing import caption, grid, overlay
from sbanet.errors import ConfigError, DataError
from sbanet.files import write_atomically

DEFAULT_COUNT = 24
COLUMNS = 6

_ABOUT = """Look at a dataset: sbanet-data gallery|stats [data=aeroscenes] [split=val] [data.KEY=VALUE].
gallery writes a contact sheet of samples with their sentences (count=24, out=gallery.png); stats counts categories,
skills, sizes and words."""


@clear_errors()
def main(argv: Sequence[str] | None = None) -> None:
    """Look at a dataset from the command line; `argv` is `sys.argv` unless given."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser("sbanet-data", description=_ABOUT)
    parser.add_argument("action", choices=("gallery", "stats"))
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    arguments = parser.parse_args(sys.argv[1:] if argv is None else argv)
    literal, overrides = split_literal(arguments.overrides, ("split", "count", "out"))
    split, count = literal.get("split", "val"), _count(literal.get("count"))
    samples = read_samples(overrides, split)
    console = Console()
    if arguments.action == "stats":
        for table in statistics(samples, split):
            console.print(table)
        return
    out = Path(literal.get("out", "gallery.png"))
    try:
        write_atomically(out, gallery(samples, count))
    except OSError as error:
        raise DataError(f"out={out}: cannot be written ({error.strerror or error})") from error
    console.print(f"wrote {out}", highlight=False, markup=False, soft_wrap=True)


def read_samples(overrides: Sequence[str], split: str) -> Samples:
    """A split as a training config would have it; no model is built."""
    cfg = compose("train", overrides)
    datamodule: ReferringDataModule = instantiate(cfg.data, tokenizer=None)
    return datamodule.samples(split)


def gallery(samples: Samples, count: int) -> bytes:
    """A contact sheet of samples spread evenly over a split, the referent outlined, as PNG."""
    step = max(1, len(samples) // count)
    tiles = [_tile(samples, record) for record in samples.records[::step][:count]]
    picture = cv2.cvtColor(grid(tiles, COLUMNS), cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", picture)[1].tobytes()


def _tile(samples: Samples, record: Record) -> np.ndarray:
    picture = overlay(samples.dataset.image(record), samples.dataset.mask(record))
    return np.concatenate([picture, caption(record.expression, picture.shape[1])], axis=0)


def statistics(samples: Samples, split: str) -> list[Table]:
    """What a paper's dataset section counts: totals, categories, skills, object sizes, words."""
    records = samples.records
    shares = np.array([samples.dataset.mask(record).mean() for record in records])
    words = Counter(word for record in records for word in record.expression.lower().split())
    lengths = np.array([len(record.expression.split()) for record in records])
    totals = {
        "samples": len(records),
        "images": len({record.image for record in records}),
        "different sentences": len({record.expression for record in records}),
        "different words": len(words),
        "words a sentence, mean / most": f"{lengths.mean():.1f} / {lengths.max()}",
        "referent's share of the image, 10 % / median / 90 %": " / ".join(
            f"{share:.2%}" for share in np.quantile(shares, (0.1, 0.5, 0.9))
        ),
    }
    summary = Table(title=f"{split}", show_header=False)
    for name, value in totals.items():
        summary.add_row(name, str(value))
    return [
        summary,
        _shares("category", Counter(record.category for record in records), len(records)),
        _shares("needs (all that apply)", Counter(tag for record in records for tag in record.tags), len(records)),
        _shares("needs exactly", Counter(" + ".join(record.tags) for record in records), len(records)),
    ]


def _shares(title: str, counts: Counter[str], total: int) -> Table:
    table = Table(title=title)
    for column in (title, "samples", "share"):
        table.add_column(column, justify="left" if column == title else "right")
    for name, count in counts.most_common():
        table.add_row(name, str(count), f"{count / total:.1%}")
    return table


def _count(text: str | None) -> int:
    if text is None:
        return DEFAULT_COUNT
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"count={text}: expected a whole number of 1 or more")
    return int(text)


if __name__ == "__main__":
    main()
