"""Checkpoints that are whole whenever a job is killed, and found again when a run's folder has moved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint

from sbanet.files import open_atomically


class WholeCheckpoints(TorchCheckpointIO):
    """Writes beside the target and renames; Lightning's own moves a file from the system's temporary folder.

    Where that is another disk, moving is copying, and a killed job leaves a part of a checkpoint.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write a checkpoint; `storage_options` has no meaning for local files."""
        with open_atomically(Path(path)) as file:
            torch.save(checkpoint, file)


class RunCheckpoints(ModelCheckpoint):
    """Keeps `best.ckpt` and `last.ckpt`, and knows them again in a folder that was moved.

    Over Lightning's own:

    - `last.ckpt` is written at every validation and at the end; Lightning's where the best is a new one alone, so
      that a run that was stopped would go on from there;
    - the best score is known in a folder that was moved; Lightning's forgets it, so that the next validation, good
      or bad, replaces the best.
    """

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save where nothing validates."""
        super().on_train_epoch_end(trainer, pl_module)
        if self._should_save_on_train_epoch_end(trainer):
            self._save_what_is_last(trainer)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save the best, if it is one, and the last."""
        super().on_validation_end(trainer, pl_module)
        if not self._should_save_on_train_epoch_end(trainer):
            self._save_what_is_last(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save what was learned after the last validation."""
        super().on_train_end(trainer, pl_module)
        self._save_what_is_last(trainer)

    def _save_what_is_last(self, trainer: L.Trainer) -> None:
        if not self._should_skip_saving_checkpoint(trainer):  # as when it is saved already
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from what a checkpoint says of those before it."""
        super().load_state_dict(_relocated(state_dict, str(state_dict["dirpath"]), str(self.dirpath)))


def _relocated(value: Any, before: str, now: str) -> Any:
    """A value with the paths in it that lay below a folder, which now is another one."""
    if isinstance(value, str) and (value == before or value.startswith(f"{before}/")):
        return now + value[len(before) :]
    if isinstance(value, dict):
        return {_relocated(key, before, now): _relocated(entry, before, now) for key, entry in value.items()}
    return value
