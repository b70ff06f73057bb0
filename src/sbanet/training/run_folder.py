"""A run's folder as the trainer writes it; `sbanet.analysis.runs` reads it.

    run.json            what was run, with what, and how it ended
    metrics.csv         the curves
    checkpoints/        last.ckpt, best.ckpt
    predictions/        a parquet file a split
    pictures/           a grid of predictions an epoch

A job of several processes has one such folder: all of them may call what is here, the first one writes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_only  # Lightning's own, without Lightning

import sbanet
from sbanet.errors import ConfigError
from sbanet.files import remove_unfinished, write_atomically
from sbanet.training.run_config import config_hash, differences

SCHEMA = 1
"""Goes up when a fact of `run.json` changes its meaning."""

LIBRARIES = ("torch", "lightning", "timm", "transformers", "numpy")
"""Whose versions a run notes beside Python's and sbanet's."""


class RunFolder:
    """The parts of a run's folder, and the facts of the run.

    Args:
        path: the folder; it is made where it does not exist.

    Raises:
        ConfigError: the path is a file.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._began: float | None = None
        self._spent = 0.0
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"{self.path}: is a file, expected the folder of a run; move it or set paths.runs")
        if _writes():
            self.path.mkdir(parents=True, exist_ok=True)

    @property
    def checkpoints(self) -> Path:
        """The folder of `last.ckpt` and `best.ckpt`."""
        return self.path / "checkpoints"

    @property
    def predictions(self) -> Path:
        """The folder of the predictions' parquet files."""
        return self.path / "predictions"

    @property
    def pictures(self) -> Path:
        """The folder of the epochs' picture grids."""
        return self.path / "pictures"

    @property
    def metrics(self) -> Path:
        """The file of the curves."""
        return self.path / "metrics.csv"

    @property
    def facts_file(self) -> Path:
        """`run.json`."""
        return self.path / "run.json"

    @property
    def facts(self) -> dict[str, Any] | None:
        """The content of `run.json`, None before the first start.

        Raises:
            ConfigError: the file is not one that `start` wrote.
        """
        try:
            facts = json.loads(self.facts_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise ConfigError(
                f"{self.facts_file}: not readable ({error}); remove it, and the next start writes it anew"
            ) from None
        if not isinstance(facts, dict) or not {"config", "dataset", "started"} <= facts.keys():
            raise ConfigError(
                f"{self.facts_file}: not the facts of a run (expected config, dataset, started); "
                "remove it, and the next start writes it anew"
            )
        return facts

    def scores_of_finished(
        self, config: Mapping[str, Any], dataset: Mapping[str, Any] | None = None
    ) -> dict[str, float] | None:
        """The scores of the run here if it has finished and is the same.

        Args:
            config: of the run, resolved, in plain containers.
            dataset: `name` and `fingerprint`; None = not asked, as before any data are read.

        Returns:
            None if there is something to do.

        Raises:
            ConfigError: `run.json` is damaged.
        """
        facts = self.facts
        if not facts or facts.get("status") != "finished":
            return None
        now = {"config": config, "dataset": facts["dataset"] if dataset is None else dataset}
        return None if differences(facts, now) else dict(facts["scores"])

    def start(
        self,
        config: Mapping[str, Any],
        *,
        experiment: str,
        name: str,
        run_id: str,
        dataset: Mapping[str, Any],
        seed: int,
        parameters: int,
        multiply_adds: float | None = None,
        resume: bool | str = True,
        **more: Any,
    ) -> dict[str, Any]:
        """Note what is run; on a later start, check that it still is the same.

        Args:
            config: of the run, resolved, in plain containers.
            experiment: the name of the folder above.
            name: what tables and legends call the run.
            run_id: the folder's own name.
            dataset: `name` and `fingerprint`.
            seed: of the run.
            parameters: number of the model's parameters.
            multiply_adds: of one forward pass at the run's image size, for one sample.
            resume: False forgets what the folder's run was. `force` goes on with a config that differs; from
                then on it is the run's config, and the change is noted in `starts`.
            more: further facts.

        Returns:
            The facts as noted.

        Raises:
            ConfigError: the folder's run has another config or dataset, or its `run.json` is damaged.
        """
        now = {"config": dict(config), "dataset": dict(dataset)}
        before = self.facts if resume else None
        changed = differences(before, now) if before else {}
        if changed and resume != "force":
            listed = ", ".join(f"{key} {old} -> {new}" for key, (old, new) in changed.items())
            raise ConfigError(
                f"{self.path}: this run was started with another config: {listed}; "
                "repeat its command, give the new run another name=..., or go on with resume=force"
            )
        if _writes():
            for folder in (self.path, self.checkpoints, self.predictions, self.pictures):
                remove_unfinished(folder)
        this = {"time": _now(), "git_commit": git_commit(), "versions": versions(), "changed": changed}
        facts = before or {
            "schema": SCHEMA, "experiment": experiment, "run_id": run_id, "name": name,
            "started": this["time"], "git_commit": this["git_commit"], "versions": this["versions"],
        }  # fmt: skip
        if changed or not before:
            facts |= {**now, "config_hash": config_hash(config), "seed": seed}
        facts.setdefault("unique_id", uuid.uuid4().hex[:12])  # where names are the same; W&B's name of the run
        for of_the_last_start in ("finished", "error"):
            facts.pop(of_the_last_start, None)
        facts |= {"status": "running", "parameters": parameters, "multiply_adds": multiply_adds, **more}
        facts["starts"] = [*facts.get("starts", []), this]
        self._began, self._spent = time.monotonic(), float(facts.get("seconds", 0.0))
        self._write(facts)
        return facts

    def update(self, **facts: Any) -> None:
        """Add facts, or replace them, and keep the others.

        Raises:
            ConfigError: the run was never started, or its `run.json` is damaged.
        """
        if not _writes():
            return
        there = self.facts
        if there is None:
            raise ConfigError(f"{self.facts_file}: no such file; expected a run that was started")
        self._write(there | facts)

    def finish(self, status: str, **facts: Any) -> None:
        """Note how the run ended, and when.

        Args:
            status: `finished`, `failed`, `interrupted`.
            facts: measured on the way (`train_images_per_second`).
        """
        self.update(status=status, finished=_now(), **facts)

    def _write(self, facts: dict[str, Any]) -> None:
        """Put the facts on the disk, with the seconds that all starts together took until now."""
        if not _writes():
            return
        if self._began is not None:
            facts = facts | {"seconds": round(self._spent + time.monotonic() - self._began, 3)}
        text = json.dumps(facts, indent=2, ensure_ascii=False, default=_plain)
        write_atomically(self.facts_file, text + "\n")


def git_commit() -> str | None:
    """The commit of the checkout that this package runs from, `-dirty` where files were changed since.

    Returns:
        None where the package is installed without its history; the history that an environment's folder
        happens to lie in is not meant.
    """
    here = Path(sbanet.__file__).resolve()
    if _git(here.parent, "ls-files", "--error-unmatch", here.name) is None:
        return None
    return _git(here.parent, "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty")


def versions() -> dict[str, str]:
    """The versions that a result may depend on."""
    python = ".".join(map(str, sys.version_info[:3]))
    libraries = {library: metadata.version(library) for library in LIBRARIES}
    return {"python": python, **libraries, "sbanet": sbanet.__version__}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _writes() -> bool:
    """Whether this is the first process of its run; one without Lightning trains nothing and is taken for the first."""
    return getattr(rank_zero_only, "rank", 0) == 0


def _now() -> str:
    """The time with its offset: nodes of a cluster and a laptop may stand in different zones."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _plain(value: Any) -> Any:
    """A number of numpy or torch as Python's own, anything else as text."""
    return value.item() if hasattr(value, "item") else str(value)
