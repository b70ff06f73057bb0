"""Checkpoints that are whole whenever a job is killed, and found again when a run's folder has moved."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loops.progress import _ProcessedTracker

from sbanet.errors import ConfigError
from sbanet.files import open_atomically
from sbanet.training.signals import RUN_AGAIN, StopSignals

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"
"""The newest checkpoint of a run, and the one before it."""

logger = logging.getLogger(__name__)


class WholeCheckpoints(TorchCheckpointIO):
    """Writes beside the target and renames; Lightning's own moves a file from the system's temporary folder.

    Where that is another disk, moving is copying, and a killed job leaves a part of a checkpoint. What `last.ckpt`
    was becomes `previous.ckpt`, once the new one is whole.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write a checkpoint; `storage_options` has no meaning for local files."""
        path = Path(path)
        with open_atomically(path) as file:
            with _system_errors_first():
                torch.save(checkpoint, file)
            if path.name == LAST and path.exists():
                file.flush()
                os.fsync(file.fileno())
                path.replace(path.with_name(PREVIOUS))


class RunCheckpoints(ModelCheckpoint):
    """Keeps `best.ckpt`, `last.ckpt` and `previous.ckpt`, and knows them again in a folder that was moved.

    Over Lightning's own:

    - `last.ckpt` is written at every validation and at the end, Lightning's where the best is a new one alone; and
      between two optimiser steps, every few minutes and when a signal asks the training to stop;
    - the best score is known in a folder that was moved; Lightning's forgets it, so that the next validation, good
      or bad, replaces the best.

    A training that was asked to stop saves before its next step and exits with `RUN_AGAIN`. A validation that has
    begun is finished first: half a validation cannot be continued. A test has nothing to save, and ends at once.

    Args:
        dirpath: the run's folder of checkpoints.
        every_minutes: time between two savings, beside those at validations; None = there are no others.
        agree_every_n_steps: optimiser steps from one exchange of several ranks, on whether it is time to save or to
            stop, to the next. Each makes all of them wait for the slowest, and a GPU for its processor.
        stop_signals: names of the signals that ask the training to stop, such as `SIGTERM`.
        options: Lightning's own arguments.

    Raises:
        ConfigError: a time or a number of steps that is not above 0, or an unknown signal.
    """

    def __init__(
        self,
        dirpath: str,
        *,
        every_minutes: float | None = None,
        agree_every_n_steps: int = 1,
        stop_signals: Sequence[str] = (),
        **options: Any,
    ) -> None:
        if every_minutes is not None and every_minutes <= 0:
            raise ConfigError(
                f"every_minutes={every_minutes}: expected minutes above 0, or null to save at validations"
            )
        if agree_every_n_steps < 1:
            raise ConfigError(f"agree_every_n_steps={agree_every_n_steps}: expected 1 or more")
        super().__init__(dirpath, **options)
        self.every_minutes = every_minutes
        self.agree_every_n_steps = agree_every_n_steps
        self.signals = StopSignals(stop_signals)
        self._saved_at = 0.0
        self._began_at: int | None = None
        self._validated_at: int | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin to listen to signals: Lightning has taken SIGTERM for itself until here.

        Raises:
            ConfigError: validation would fall between the parts of an optimiser step.
        """
        super().on_train_start(trainer, pl_module)
        require_whole_steps(trainer)
        self.signals.watch()
        self._saved_at = time.monotonic()
        self._last_global_step_saved = self._began_at = trainer.global_step  # what training goes on from

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Save between two steps if it is time to, and stop if someone asked.

        Raises:
            SystemExit: a signal asked the training to stop; with `RUN_AGAIN` on the first rank.
        """
        if batch_idx % trainer.accumulate_grad_batches:
            return  # a gradient is pending, and no checkpoint holds gradients
        # Lightning counts on from a step too early or too late, depending on where it saved
        trainer.fit_loop.epoch_loop._batches_that_stepped = trainer.global_step
        if trainer.world_size > 1 and trainer.global_step % self.agree_every_n_steps:
            return
        asked = self.signals.received is not None
        waited = (time.monotonic() - self._saved_at) / 60
        due = self.every_minutes is not None and waited >= self.every_minutes
        if not _any_rank(trainer, asked or due):
            return
        asked = _any_rank(trainer, asked)
        with _between_steps(trainer):
            self._save_what_is_last(trainer)
        if asked:
            logger.warning("stopped before step %d; the same command goes on from there", trainer.global_step)
            # Lightning kills the first rank where another one ends with an error
            raise SystemExit(RUN_AGAIN if trainer.is_global_zero else 0)

    @property
    def trained_any(self) -> bool:
        """Whether this process has come further than the checkpoint that it went on from."""
        return self._began_at is not None and self._last_global_step_saved > self._began_at

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save where nothing validates."""
        super().on_train_epoch_end(trainer, pl_module)
        if self._should_save_on_train_epoch_end(trainer):
            self._save_what_is_last(trainer)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save the best, if it is one, and the last."""
        super().on_validation_end(trainer, pl_module)
        self._validated_at = trainer.global_step
        if not self._should_save_on_train_epoch_end(trainer):
            self._save_what_is_last(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save what was learned after the last validation, and say that the best knows nothing of it."""
        super().on_train_end(trainer, pl_module)
        if self._validated_at is not None and self._validated_at < trainer.global_step:
            logger.warning(
                "the last validation was at step %d of %d, so that the best checkpoint is no later one; "
                "trainer.val_check_interval counts from each epoch's beginning unless "
                "trainer.check_val_every_n_epoch=null",
                self._validated_at,
                trainer.global_step,
            )
        self._save_what_is_last(trainer)
        self.signals.unwatch()

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Listen again, for the test, whose row is logged at the step and in the epoch where the training ended."""
        _count_what_validation_saw(trainer)
        self.signals.watch()

    def on_test_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Stop if someone asked.

        Raises:
            SystemExit: a signal asked the test to stop; with `RUN_AGAIN`.
        """
        if self.signals.received is not None:
            logger.warning("stopped in the test; the same command begins it anew")
            raise SystemExit(RUN_AGAIN)

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Listen no longer."""
        self.signals.unwatch()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Listen no longer."""
        super().on_exception(trainer, pl_module, exception)
        self.signals.unwatch()

    def _save_what_is_last(self, trainer: L.Trainer) -> None:
        if not self._should_skip_saving_checkpoint(trainer):  # as when it is saved already
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))

    def _save_checkpoint(self, trainer: L.Trainer, filepath: str) -> None:
        super()._save_checkpoint(trainer, filepath)
        self._saved_at = time.monotonic()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from what a checkpoint says of those before it."""
        super().load_state_dict(_relocated(state_dict, str(state_dict["dirpath"]), str(self.dirpath)))


def require_whole_steps(trainer: L.Trainer) -> None:
    """Refuse to validate, and so to save, while a gradient is pending.

    Raises:
        ConfigError: with both numbers.
    """
    every, accumulate = trainer.val_check_batch, trainer.accumulate_grad_batches
    if isinstance(every, int) and every < trainer.num_training_batches and every % accumulate:
        raise ConfigError(
            f"trainer.val_check_interval: validation every {every} batches falls between the parts of a step of "
            f"{accumulate} batches; choose a multiple of trainer.accumulate_grad_batches={accumulate}"
        )


@contextmanager
def _system_errors_first() -> Iterator[None]:
    """Raise a system's refusal, as of a full disk, where torch reports the wrong place in the file that follows it."""
    try:
        yield
    except RuntimeError as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, OSError):
            cause = cause.__cause__ or cause.__context__
        raise (cause or error) from None


def _any_rank(trainer: L.Trainer, decision: bool) -> bool:
    """Whether some rank decides so; ranks that did not act together would wait for each other."""
    return trainer.strategy.reduce_boolean_decision(decision, all=False)


@contextmanager
def _between_steps(trainer: L.Trainer) -> Iterator[None]:
    """Training's progress without the batch that is at hand and was not begun: who goes on fetches it anew."""
    progress = trainer.fit_loop.epoch_loop.batch_progress
    is_last = progress.is_last_batch
    progress.is_last_batch = False
    for counts in (progress.total, progress.current):
        counts.ready -= 1
    try:
        yield
    finally:
        progress.is_last_batch = is_last
        for counts in (progress.total, progress.current):
            counts.ready += 1


def _count_what_validation_saw(trainer: L.Trainer) -> None:
    """Count the last step and epoch where Lightning, restored from a finished training's validation, has not yet."""
    loop = trainer.fit_loop
    loop.epoch_loop._batches_that_stepped = trainer.global_step
    epochs = loop.epoch_progress.current
    assert isinstance(epochs, _ProcessedTracker)
    epochs.processed = epochs.completed = epochs.started


def _relocated(value: Any, before: str, now: str) -> Any:
    """A value with the paths in it that lay below a folder, which now is another one."""
    if isinstance(value, str) and (value == before or value.startswith(f"{before}/")):
        return now + value[len(before) :]
    if isinstance(value, dict):
        return {_relocated(key, before, now): _relocated(entry, before, now) for key, entry in value.items()}
    return value
