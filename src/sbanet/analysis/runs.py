"""Run folders, read as they lie on the disk.

    run.json                            facts: config, versions, costs, status
    metrics.csv                         curves: a row a logged step, empty cells where nothing was measured
    predictions/<file>.parquet          a row a (image, expression); a file a split or condition
    predictions/images/<image>.jpg      thumbnails of some of the images

Nothing here needs torch, a checkpoint, the dataset or a server.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from sbanet.analysis.prediction_tables import MASKS, PREDICTION_COLUMNS, RunFolderError, read_predictions
from sbanet.files import image_file_name


@dataclass(frozen=True)
class Run:
    """One run folder. Files are read when first asked for, and once.

    Attributes:
        folder: where `run.json` lies.
    """

    folder: Path

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The content of `run.json`.

        Raises:
            RunFolderError: there is none, or it is cut off.
        """
        path = self.folder / "run.json"
        if not path.is_file():
            raise RunFolderError(f"{path}: no such file; expected the folder of a run (sbanet-train writes it)")
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise RunFolderError(f"{path}: not readable ({error}); start the run once more to rewrite it") from None
        if not isinstance(facts, dict) or "run_id" not in facts:
            raise RunFolderError(f"{path}: has no run_id; expected the run.json that sbanet-train writes")
        return facts

    @property
    def name(self) -> str:
        """The short name for tables and legends."""
        return str(self.facts.get("name") or self.facts["run_id"])

    @cached_property
    def curves(self) -> pd.DataFrame:
        """`metrics.csv`: `epoch`, `step` and a column a metric; NaN where a row did not measure it.

        A last line without its line feed is one that a running job has not finished writing: it is left out.

        Raises:
            RunFolderError: there is no such file, or it is not a table with a `step`.
        """
        path = self.folder / "metrics.csv"
        if not path.is_file():
            raise RunFolderError(f"{path}: no such file; train the run (sbanet-train) to get its curves")
        whole_lines = path.read_text(encoding="utf-8").rpartition("\n")[0]
        try:
            curves = pd.read_csv(io.StringIO(whole_lines + "\n"))
        except ValueError as error:
            raise RunFolderError(f"{path}: not a table ({error}); resume the run to rewrite it") from None
        if "step" not in curves:
            raise RunFolderError(f"{path}: got columns {list(curves)}, expected epoch, step, ...")
        return curves

    def curve(self, metric: str) -> pd.Series:
        """One metric over the steps, without the rows that did not measure it; empty if never measured."""
        if metric not in self.curves:
            return pd.Series(dtype=float, name=metric)
        return self.curves.set_index("step")[metric].dropna()

    def prediction_files(self) -> list[str]:
        """The names that `predictions` takes, sorted."""
        return sorted(path.stem for path in (self.folder / "predictions").glob("*.parquet"))

    def predictions(self, file: str = "test", *, masks: bool = True) -> pd.DataFrame:
        """One predictions file, in its own order; `tags` as tuples.

        Args:
            file: the split, or the split and a condition ("test_wrong_sentence").
            masks: whether to read the columns of `MASKS`; without them the file is read once.

        Raises:
            RunFolderError: no such file, a half-written one, one without the columns of the contract, or one
                with a sample twice.
        """
        if not masks:
            return self._measured(file)[1]
        path, remedy = self._predictions_file(file)
        return read_predictions(path, PREDICTION_COLUMNS, remedy)[1]

    def samples_key(self, file: str = "test") -> int:
        """A number that files share which say the same of the same samples; raises as `predictions`."""
        return self._measured(file)[0]

    def _measured(self, file: str) -> tuple[int, pd.DataFrame]:
        if file not in self._read:
            path, remedy = self._predictions_file(file)
            columns = [column for column in PREDICTION_COLUMNS if column not in MASKS]
            self._read[file] = read_predictions(path, columns, remedy)
        return self._read[file]

    @cached_property
    def _read(self) -> dict[str, tuple[int, pd.DataFrame]]:
        return {}

    def _predictions_file(self, file: str) -> tuple[Path, str]:
        """The path, and what to do where there is something wrong with it."""
        path = self.folder / "predictions" / f"{file}.parquet"
        remedy = f"write it with sbanet-evaluate ckpt={self.folder / 'checkpoints' / 'best.ckpt'}"
        if not path.is_file():
            there = ", ".join(self.prediction_files()) or "none"
            raise RunFolderError(f"{path}: no such file (there: {there}); {remedy}")
        return path, remedy

    def thumbnail(self, image: str) -> Path | None:
        """The thumbnail of an image, None where the run kept none."""
        path = self.folder / "predictions" / "images" / f"{image_file_name(image)}.jpg"
        return path if path.is_file() else None


def find_runs(folders: Iterable[Path | str]) -> list[Run]:
    """All runs in some folders: a folder is a run, or holds runs at any depth.

    Args:
        folders: in the order in which their runs shall appear; the runs of one folder are sorted by path.

    Returns:
        Each run once.

    Raises:
        RunFolderError: a folder does not exist, or holds no run.
    """
    found: dict[Path, Run] = {}
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise RunFolderError(f"{folder}: no such folder; expected the folder of a run, or one with runs below it")
        # A folder that is itself meant as a run gets the error of its missing run.json only when read.
        files = [folder / "run.json"] if (folder / "run.json").exists() else sorted(folder.rglob("run.json"))
        if not files:
            raise RunFolderError(f"{folder}: no run.json in it or below it; expected a folder that sbanet-train wrote")
        for file in files:
            found.setdefault(file.parent.resolve(), Run(file.parent))
    return list(found.values())
