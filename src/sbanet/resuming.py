"""Where a run that is started again goes on from."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from sbanet.errors import ConfigError, DamagedCheckpointError
from sbanet.inference import read_checkpoint
from sbanet.training.checkpoints import LAST, PREVIOUS
from sbanet.training.csv_logger import MetricsCSV
from sbanet.training.run_folder import RunFolder

logger = logging.getLogger(__name__)

CUTS_AN_EPOCH = (("data", "batch_size"), ("trainer", "accumulate_grad_batches"))
"""The keys that say which samples form an epoch's batches, beside those that name the dataset."""


def continue_from(folder: RunFolder, trainer: L.Trainer, config: Mapping[str, Any], resume: bool | str) -> Path | None:
    """The run's newest whole checkpoint, None to begin anew; `metrics.csv` is cut back to it.

    Raises:
        ConfigError: it stands in the middle of an epoch, which cannot be cut otherwise.
        CheckpointError: there are checkpoints, but none that can be read.
    """
    step = 0
    newest = None
    if not resume:
        forget_checkpoints(folder)
    elif found := newest_checkpoint(folder.checkpoints):
        newest, checkpoint = found
        require_same_place(checkpoint, config)
        step = int(checkpoint["global_step"])
        logger.info("continuing %s at step %d", newest, step)
    for run_logger in trainer.loggers:
        if isinstance(run_logger, MetricsCSV):
            run_logger.cut_back(step - 1)
    return newest if step else None


def newest_checkpoint(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """The newest checkpoint of a folder that is whole, and its content; None where there is none at all.

    Raises:
        CheckpointError: there are some, but none that can be read.
    """
    paths = [path for path in (folder / LAST, folder / PREVIOUS) if path.is_file()]
    for path in paths:
        try:
            return path, read_checkpoint(path)
        except DamagedCheckpointError as error:
            if path == paths[-1]:
                raise
            logger.warning("%s; going on from %s, the one before it", error, PREVIOUS)
            set_aside(path)
    return None


@rank_zero_only
def set_aside(damaged: Path) -> None:
    """Keep a damaged checkpoint from taking the place of the whole one before it."""
    damaged.rename(damaged.with_name("damaged.ckpt"))


def require_same_place(checkpoint: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Refuse to go on in the middle of an epoch whose batches are cut otherwise now.

    The number of ranks does not matter: a step's samples are the same for any.

    Raises:
        ConfigError: with the keys that must stay.
    """
    progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
    before = checkpoint["sbanet"]["config"]
    changed = [
        f"{group}.{key} {before[group][key]} -> {config[group][key]}"
        for group, key in CUTS_AN_EPOCH
        if before[group][key] != config[group][key]
    ]
    if changed and progress["current"]["ready"] and not progress["is_last_batch"]:
        raise ConfigError(
            f"the run stands in the middle of an epoch, which {', '.join(changed)} would cut otherwise; "
            "finish the epoch with the values it had, or begin anew with resume=false"
        )


@rank_zero_only
def forget_checkpoints(folder: RunFolder) -> None:
    """Remove those of the run that was here: should this one be killed soon, it must not go on from them."""
    for checkpoint in folder.checkpoints.glob("*.ckpt"):
        checkpoint.unlink()
