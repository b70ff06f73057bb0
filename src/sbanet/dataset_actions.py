"""The actions of `sbanet-data`; each takes overrides of the config, and its own arguments by name."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from hydra.utils import instantiate
from rich.console import Console
from rich.table import Table

from sbanet.config import compose
from sbanet.console import console
from sbanet.data.batching import Samples
from sbanet.data.datamodules import ReferringDataModule
from sbanet.data.open import How, convert
from sbanet.dataset_check import check_dataset
from sbanet.dataset_pictures import gallery, preview
from sbanet.errors import ConfigError, DataError
from sbanet.files import write_atomically

DEFAULT_COUNT = {"gallery": 24, "preview": 6}
FOUND_PROBLEMS = 1


def run_check(overrides: Sequence[str], literal: Mapping[str, str]) -> None:
    """Check all splits.

    Raises:
        SystemExit: with the exit code, where a finding changes numbers.
    """
    shown = _one_of(literal, "format", ("table", "json"))
    pixels = _one_of(literal, "pixels", ("true", "false")) == "true"
    outcome = check_dataset(compose("train", overrides), pixels=pixels)
    if shown == "json":
        sys.stdout.write(outcome.json() + "\n")
    else:
        outcome.print(console())
    if not outcome.sound:
        raise SystemExit(FOUND_PROBLEMS)


def run_convert(overrides: Sequence[str], literal: Mapping[str, str]) -> None:
    """Write all splits in the open layout."""
    if "out" not in literal:
        raise ConfigError("out is missing; say where to write: sbanet-data convert data=... out=<new folder>")
    how: Any = _one_of(literal, "files", get_args(How))
    out = Path(literal["out"])
    datamodule = read_datamodule(overrides)
    count = convert({split: datamodule.dataset(split) for split in datamodule.splits}, out, how)
    console().print(
        f"wrote {count:,} samples; read them by data=open data.name={datamodule.name} data.root={out}",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip


def run_stats(overrides: Sequence[str], literal: Mapping[str, str]) -> None:
    """Count a split."""
    split = literal.get("split", "val")
    terminal = Console()
    for table in statistics(read_samples(overrides, split), split):
        terminal.print(table)


def run_gallery(overrides: Sequence[str], literal: Mapping[str, str]) -> None:
    """Draw a split."""
    count = _count(literal.get("count"), "gallery")
    write_picture(
        literal.get("out", "gallery.png"), gallery(read_samples(overrides, literal.get("split", "val")), count)
    )


def run_preview(overrides: Sequence[str], literal: Mapping[str, str]) -> None:
    """Draw what augmentation makes of training samples."""
    count = _count(literal.get("count"), "preview")
    datamodule = read_datamodule(overrides)
    sheet = preview(datamodule.samples("train"), count, seed=datamodule.seed)
    write_picture(literal.get("out", "preview.png"), sheet)


def write_picture(out: str, picture: bytes) -> None:
    """Write a file and say so.

    Raises:
        DataError: it cannot be written.
    """
    try:
        write_atomically(Path(out), picture)
    except OSError as error:
        raise DataError(f"out={out}: cannot be written ({error.strerror or error})") from error
    console().print(f"wrote {out}", highlight=False, markup=False, soft_wrap=True)


def read_samples(overrides: Sequence[str], split: str) -> Samples:
    """A split as a training config would have it; no model is built."""
    return read_datamodule(overrides).samples(split)


def read_datamodule(overrides: Sequence[str]) -> ReferringDataModule:
    """The dataset of a training config."""
    return instantiate(compose("train", overrides).data, tokenizer=None)


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


def _one_of(literal: Mapping[str, str], key: str, known: Sequence[str]) -> str:
    """The value of a key, the first of the known ones unless given.

    Raises:
        ConfigError: it is none of them.
    """
    value = literal.get(key, known[0])
    if value not in known:
        raise ConfigError(f"{key}={value}: expected {', '.join(known)}")
    return value


def _count(text: str | None, action: str) -> int:
    if text is None:
        return DEFAULT_COUNT[action]
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"count={text}: expected a whole number of 1 or more")
    return int(text)


ACTIONS = {
    "gallery": run_gallery,
    "preview": run_preview,
    "stats": run_stats,
    "check": run_check,
    "convert": run_convert,
}
