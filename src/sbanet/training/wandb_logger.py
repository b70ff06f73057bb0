"""A run's curves in Weights & Biases: one run there for one folder here, however often it is started again."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import lightning as L
import pyarrow.parquet as pq
from lightning.fabric.loggers.logger import _DummyExperiment
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from sbanet.config.errors import exit_code_of
from sbanet.scores import ious
from sbanet.training.module import PROTOCOLS
from sbanet.training.wandb_files import last_step

AXIS = "trainer/global_step"
"""The x axis of all curves: optimiser steps before the one that is meant, as in `metrics.csv`."""
TEST_TABLE = "test/samples"
OF_A_SAMPLE = ("sample_id", "expression", "category", "tags")
"""The columns of the table, before the scores."""
VALIDATION, COUNTS = ("val/", "val_native/"), ("/count", "/empty")
"""Of what the summary keeps the best: what a validation measures, but for what it counts."""
NODES = ("model", "data", "loss", "optim")
"""The config groups whose choices are tags, with those below them."""
LONGEST_NAME, LONGEST_TAG = 128, 64
"""Letters that W&B takes."""

logger = logging.getLogger(__name__)


class WandbRun(WandbLogger):
    """Writes one row a step, each step once.

    What a run that was killed repeats is left out, and what W&B had not yet put on the disk is taken from
    `metrics.csv`. A row is handed over when its step is done, so that no part of one stays behind.

    Training never depends on it: what W&B does not take is a line of warning, and the run goes on without.

    Args:
        save_dir: the run's folder.
        mode: `online`, `offline` or `disabled`; where the server cannot be reached, online becomes offline.
        name: of the run there; None = what the command line changes.
        tags: beside the choices of the nodes.
        upload_best: whether a finished run uploads its best checkpoint as an artifact, online.
        options: of `wandb.init`, such as `project` and `group`.
    """

    def __init__(
        self,
        save_dir: str,
        *,
        mode: Literal["online", "offline", "disabled"] = "offline",
        name: str | None = None,
        tags: Sequence[str] = (),
        upload_best: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(name=name, save_dir=save_dir, mode=mode, tags=list(tags), reinit="create_new", **options)
        self._wandb_init.pop("anonymous")  # of which W&B says that it will go
        self.mode = mode
        self.upload_best = upload_best
        self._gave_up = False
        self._logged = -1  # the last step whose row W&B has
        self._step = -1
        self._row: dict[str, Any] = {}
        self._best: dict[str, float] = {}

    @property
    def experiment(self) -> Any:
        """W&B's run; a thing that takes everything and does nothing, on other ranks and where W&B failed."""
        return _DummyExperiment() if self._gave_up or rank_zero_only.rank else super().experiment  # type: ignore[attr-defined]

    @rank_zero_only
    def begin(self, facts: Mapping[str, Any], curves: Path) -> None:
        """Open the run, or go on with it.

        Args:
            facts: the content of `run.json`.
            curves: `metrics.csv` as it was when the run was where it goes on from.
        """
        nodes = {group: choice for group, choice in facts["choices"].items() if group.split("/")[0] in NODES}
        tags = [f"{group.rpartition('/')[2]}={choice}"[:LONGEST_TAG] for group, choice in nodes.items()]
        about = {key: value for key, value in facts.items() if key not in ("config", "starts", "scores")}
        self._wandb_init |= {
            "id": facts["unique_id"],
            "name": self._wandb_init["name"] or _name(facts),
            "tags": [*self._wandb_init["tags"], *tags],
            "config": {**facts["config"], "run": about},
        }
        self._open()
        with self._or_without_it():
            self.experiment.define_metric(AXIS)
            self.experiment.define_metric("*", step_metric=AXIS)
            self._logged = last_step(Path(str(self.save_dir)), facts["unique_id"])
            self._catch_up(curves)

    def _open(self) -> None:
        import wandb  # by none but the runs that are logged there

        for mode in ("online", "offline") if self.mode == "online" else (self.mode,):
            try:
                if mode != "online":  # else W&B's counting of who uses tables and artifacts asks its server
                    wandb.setup(wandb.Settings(mode=mode))
                self._experiment = wandb.init(**self._wandb_init | {"mode": mode})
                self.mode = mode
                for handler in logging.getLogger("wandb").handlers:  # its own log, in a folder that may be full
                    handler.handleError = _ignored  # type: ignore[method-assign]
                return
            except Exception as error:  # of any kind: no key, no network, a full disk, another release of wandb
                then = "logging offline" if mode == "online" else "the run goes on without it"
                logger.warning("W&B did not start (%s); %s", _in_a_line(error), then)
        self._gave_up = True

    def _catch_up(self, curves: Path) -> None:
        """Log what W&B lost when the run was killed, and know what was best."""
        rows = csv.DictReader(curves.read_text(encoding="utf-8").splitlines()) if curves.is_file() else ()
        for row in rows:
            values = {name: float(value) for name, value in row.items() if value}
            step = int(values.pop("step"))
            self._note_best(values)
            self.log_metrics(values, step)
        self.close_row()
        self.experiment.summary.update(self._best)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Put values into the row of a step; None = of the one at hand."""
        step = max(0, self._step) if step is None else step
        if step <= self._logged:
            return  # it was logged before the run was killed
        if step > self._step:
            self.close_row()
            self._step = step
        self._row |= metrics

    @rank_zero_only
    def close_row(self) -> None:
        """Hand over the row of a step that is done."""
        if self._row and not self._gave_up:
            with self._or_without_it():
                self.experiment.log({**self._row, AXIS: self._step}, step=self._step, commit=True)
                if better := self._note_best(self._row):
                    self.experiment.summary.update(better)
        self._logged, self._row = max(self._logged, self._step), {}

    @rank_zero_only
    def log_test_samples(self, predictions: Path) -> None:
        """Log the table of the test's samples, beside the scores of the test."""
        import wandb

        if not self._row:
            return  # the scores were logged before the run was killed
        rows = pq.read_table(predictions)
        columns = rows.select(OF_A_SAMPLE).to_pydict()
        columns["tags"] = [" ".join(tags) for tags in columns["tags"]]
        for name in PROTOCOLS:
            columns[f"{name} IoU"] = ious(rows[f"{name}_I"].to_numpy(), rows[f"{name}_U"].to_numpy()).tolist()
        with self._or_without_it():
            data = [list(row) for row in zip(*columns.values(), strict=True)]
            self._row[TEST_TABLE] = wandb.Table(columns=list(columns), data=data)

    @rank_zero_only
    def end(self, exit_code: int, scores: Mapping[str, float], best: Path | None = None) -> None:
        """Close the run.

        Args:
            exit_code: of the command; of a run that failed, the row that it was at is left to its next start.
            scores: into the summary.
            best: checkpoint to upload.
        """
        import wandb

        if self._experiment is None:
            return
        with self._or_without_it():
            if exit_code == 0:
                self.close_row()
                self.experiment.summary.update(dict(scores))
                if best is not None and self.upload_best and self.mode == "online":
                    artifact = wandb.Artifact(f"best-{self.experiment.id}", type="model", metadata=dict(scores))
                    artifact.add_file(str(best))
                    self.experiment.log_artifact(artifact, aliases=["best"])
        with self._or_without_it():
            self._experiment.finish(exit_code=exit_code)
        self._experiment, self._gave_up = None, True

    def _note_best(self, values: Mapping[str, Any]) -> dict[str, float]:
        """Of a validation's values those that are the best so far, as the summary names them."""
        better = {}
        for name, value in values.items():
            if name.startswith(VALIDATION) and not name.endswith(COUNTS) and isinstance(value, int | float):
                key, sign = f"best/{name}", -1 if name.endswith("loss") else 1
                if key not in self._best or sign * value > sign * self._best[key]:
                    better[key] = float(value)
        self._best |= better
        return better

    @contextmanager
    def _or_without_it(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # of any kind, as above
            if not self._gave_up:
                logger.warning("W&B failed (%s); the run goes on without it", _in_a_line(error))
            self._gave_up = True


class WandbRows(Callback):
    """Hands W&B the row of the step before, when all that belongs to it is known."""

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Close it."""
        for run in wandb_runs(trainer.loggers):
            run.close_row()


@contextmanager
def closing(runs: Sequence[WandbRun]) -> Iterator[None]:
    """End runs with the exit code that the command will have, where the block ends by an error."""
    try:
        yield
    except BaseException as error:
        for run in runs:
            run.end(exit_code_of(error), {})
        raise


def wandb_runs(loggers: Sequence[Logger]) -> list[WandbRun]:
    """Those of the loggers that are W&B runs."""
    return [run for run in loggers if isinstance(run, WandbRun)]


def _name(facts: Mapping[str, Any]) -> str:
    """What the command line changes; where that is too much, as the folder has it, with a digest at its end."""
    changes = facts["changes"] or facts["experiment"]
    return str(changes if len(changes) <= LONGEST_NAME else facts["run_id"])


def _ignored(record: logging.LogRecord) -> None:
    """Python would print a traceback for each line that a log's file does not take."""


def _in_a_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
