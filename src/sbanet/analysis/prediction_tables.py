"""Predictions files as tables: what is said of the samples, which all runs share, and what a run measured on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

SAMPLE_COLUMNS = (
    "sample_id", "image", "expression", "category", "tags", "split", "dataset", "height", "width", "target_pixels",
)  # fmt: skip
"""What no model has a say in; `target_pixels` is at the image's own (native) size, as both masks are."""

MASKS = ("target_rle", "prediction_rle")
"""The columns that only pictures need; they are most of a file."""

PREDICTION_COLUMNS = (*SAMPLE_COLUMNS, "network_I", "network_U", "native_I", "native_U", *MASKS)
"""The columns of a predictions file."""

_SAMPLES: list[tuple[pa.Table, pd.DataFrame]] = []
"""Every table of samples that was read, once: fifty runs are over the same one, and words are slow to convert."""


class RunFolderError(ValueError):
    """A run folder lacks a file, or holds one that cannot be read; the message names it and the remedy."""


def read_predictions(path: Path, columns: Sequence[str], remedy: str) -> tuple[int, pd.DataFrame]:
    """Some columns of a predictions file, in its own order; `tags` as tuples.

    Args:
        path: of the file.
        columns: which to read; at least those of `SAMPLE_COLUMNS`.
        remedy: what to do where the file is wrong, for the error's text.

    Returns:
        A number that files share which say the same of the same samples, and the table.

    Raises:
        RunFolderError: a half-written file, one without the columns of the contract, or one with a sample twice.
    """
    try:
        with pq.ParquetFile(path) as file:
            missing = [column for column in PREDICTION_COLUMNS if column not in file.schema_arrow.names]
            table = file.read([] if missing else list(columns))
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path}: not readable ({error}); {remedy}") from None
    if missing or not table.num_rows:
        what = f"lacks the columns {', '.join(missing)}" if missing else "has no rows"
        raise RunFolderError(f"{path}: {what}; {remedy}")
    key, samples = _samples(table.select(list(SAMPLE_COLUMNS)))
    if not samples["sample_id"].is_unique:
        twice = samples.loc[samples["sample_id"].duplicated(), "sample_id"].iloc[0]
        raise RunFolderError(f"{path}: sample {twice!r} occurs more than once; {remedy}")
    rest = {name: table[name].to_pandas().array for name in columns if name not in SAMPLE_COLUMNS}
    return key, samples.assign(**rest)


def _samples(table: pa.Table) -> tuple[int, pd.DataFrame]:
    """The number and the frame of a table of samples."""
    for key, (known, frame) in enumerate(_SAMPLES):
        if known.equals(table):
            return key, frame
    frame = table.to_pandas()
    # A sample without tags may come back as None or as NaN.
    frame["tags"] = [tuple(tags) if isinstance(tags, Iterable) else () for tags in frame["tags"]]
    _SAMPLES.append((table, frame))
    return len(_SAMPLES) - 1, frame
