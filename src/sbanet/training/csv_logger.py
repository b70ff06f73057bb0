"""The curves of a run as `metrics.csv`: one file for all starts of the run."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from sbanet.errors import ConfigError
from sbanet.files import write_atomically

POSITION = ("epoch", "step")
"""The columns that say where in the run a row was logged, both counted from 0; the metrics follow."""


class MetricsCSV(Logger):
    """Appends a row to `metrics.csv` for each call that logs metrics.

    Columns stand in the order in which metrics first appeared; what a row did not measure is empty. Numbers
    are written so that reading them gives the same number. A file of an earlier start is continued.

    Args:
        save_dir: the run's folder.
    """

    def __init__(self, save_dir: str) -> None:
        super().__init__()
        self.path = Path(save_dir) / "metrics.csv"
        self._columns: list[str] = []

    @property
    def name(self) -> str:
        """Empty: the folder needs no further one below it."""
        return ""

    @property
    def version(self) -> None:
        """None: there is nothing to count, and the progress bar then shows no number of it."""
        return None

    @property
    def save_dir(self) -> str:
        """The run's folder."""
        return str(self.path.parent)

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: `run.json` holds the config."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append a row.

        Args:
            metrics: by name; `epoch` goes into its column, and so does `step` where it is not an argument.
            step: number of optimiser steps before the current one.

        Raises:
            ConfigError: the file that is there is none of this logger's.
        """
        values = {"epoch": metrics.get("epoch"), "step": metrics.get("step") if step is None else step}
        row = {name: str(int(value)) for name, value in values.items() if value is not None}
        row |= {name: repr(float(value)) for name, value in metrics.items() if name not in POSITION}
        if not self._columns:
            self._columns, _ = self._open()
        if row.keys() <= set(self._columns):
            with self.path.open("a", encoding="utf-8", newline="") as file:
                file.write(_lines(self._columns, [row]))
        else:
            columns, rows = self._read()
            self._write(list(dict.fromkeys([*POSITION, *columns, *row])), [*rows, row])

    @rank_zero_only
    def cut_back(self, step: int) -> None:
        """Forget what was logged after a step, before training goes on from there.

        A checkpoint of `n` optimiser steps belongs to step `n - 1`, the last that was done; -1 forgets all.

        Args:
            step: the last one whose rows stay.

        Raises:
            ConfigError: the file that is there is none of this logger's.
        """
        columns, rows = self._open()
        kept = [row for row in rows if int(row["step"] or 0) <= step]
        if len(kept) < len(rows):
            # As if the later rows had never been: a metric that only they measured has no column.
            self._write([name for name in columns if name in POSITION or any(row[name] for row in kept)], kept)

    def _open(self) -> tuple[list[str], list[dict[str, str]]]:
        """What an earlier start left, without a line that it had begun when it was killed."""
        columns, rows = self._read()
        if self.path.exists() and not self.path.read_bytes().endswith(b"\n"):
            self._write(columns, rows)
        return columns, rows

    def _read(self) -> tuple[list[str], list[dict[str, str]]]:
        """The columns and the whole rows of the file; none where there is no file."""
        if not self.path.exists():
            return [], []
        content = self.path.read_text(encoding="utf-8")
        reader = csv.DictReader(io.StringIO(content[: content.rfind("\n") + 1]), restval="")
        columns = list(reader.fieldnames or [])
        if columns and tuple(columns[:2]) != POSITION:
            raise ConfigError(
                f"{self.path}: got columns {', '.join(columns[:4])}, expected epoch, step, ...; move it away"
            )
        return columns, list(reader)

    def _write(self, columns: list[str], rows: list[dict[str, str]]) -> None:
        header = {name: name for name in columns}
        write_atomically(self.path, _lines(columns, [header, *rows]) if columns else "")
        self._columns = columns


def _lines(columns: list[str], rows: Iterable[Mapping[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writerows(rows)
    return text.getvalue()
