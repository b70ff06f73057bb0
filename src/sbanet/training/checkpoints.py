"""Checkpoints that are whole whenever a job is killed, and found again when a run's folder has moved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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

    Lightning's own forgets the best score then, so that the next validation, good or bad, replaces the best.
    """

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
