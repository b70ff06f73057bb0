"""The Lightning trainer of a config, without what it would add or say on its own account."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import Any, Literal

import lightning as L
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.callbacks import Callback, Checkpoint, ProgressBar
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig

from sbanet.config.resolvers import multiplies_bfloat16
from sbanet.errors import ConfigError
from sbanet.training import host_memory
from sbanet.training.checkpoints import WholeCheckpoints
from sbanet.training.slurm import cluster_environment

logger = logging.getLogger(__name__)
_LIGHTNING_SAYS = logging.getLogger("lightning.pytorch.utilities.rank_zero")


class Trainer(L.Trainer):
    """Lightning's trainer, with the settings of a process that it leaves to its caller.

    Deterministic mode would also overwrite all fresh memory, to expose reads of it: 5 % of the time for nothing.

    Args:
        float32_matmul_precision: of this process's matrix products that stay in float32: `highest` = all digits;
            `high` = TF32, `medium` = bfloat16, where the device has them (`torch.set_float32_matmul_precision`).
        keep_freed_memory: on CPUs, whether the process keeps what a step has freed for the next one.
        compile: whether the forward and backward pass of training steps are compiled (`torch.compile`); evaluation,
            whose batches differ in shape, is not.
        options: Lightning's own arguments.
    """

    def __init__(
        self,
        *,
        float32_matmul_precision: Literal["highest", "high", "medium"] = "highest",
        keep_freed_memory: bool = True,
        compile: bool = False,
        **options: Any,
    ) -> None:
        torch.set_float32_matmul_precision(float32_matmul_precision)
        super().__init__(**options)
        self.compiles = compile
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        if isinstance(self.accelerator, CPUAccelerator):
            host_memory.keep_freed_memory(keep_freed_memory)


def build_trainer(node: DictConfig, *, callbacks: Sequence[Callback], logger: Any, **options: Any) -> L.Trainer:
    """Build the trainer of `cfg.trainer`.

    A progress bar or checkpoints that the callbacks lack stay away; Lightning would add its own.

    Args:
        node: with the `_target_`.
        callbacks: all of them.
        logger: Lightning's argument.
        options: further arguments of the trainer.

    Raises:
        ConfigError: the trainer cannot be had on this machine (no GPU, too few devices), in this job of SLURM, or so
            configured.
    """
    hide_notices()
    environment = cluster_environment(node)
    try:
        trainer: L.Trainer = instantiate(
            node,
            callbacks=list(callbacks),
            logger=logger,
            enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in callbacks),
            enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
            plugins=[WholeCheckpoints(), *([environment] if environment else [])],
            **options,
        )
    except InstantiationException as error:
        if not isinstance(error.__cause__, MisconfigurationException):
            raise
        reason = " ".join(str(error.__cause__).split())
        raise ConfigError(f"trainer: {reason}; choose another one, as trainer=cpu") from error
    if str(trainer.precision).startswith("bf16") and isinstance(trainer.accelerator, CPUAccelerator):
        warn_of_emulation(str(trainer.precision))
    return trainer


def warn_of_emulation(precision: str) -> None:
    """Say so where this processor computes a precision many times more slowly than float32."""
    if not multiplies_bfloat16():
        logger.warning(
            "trainer.precision=%s on a processor without bfloat16 is many times slower than "
            "trainer.precision=32-true (what a checkpoint of another machine brings along, trainer=cpu exchanges)",
            precision,
        )


def hide_notices() -> None:
    """Silence advertisements, echoes and a deprecation of Lightning, and its wonder at a run that is continued."""
    if logging.getLogger().hasHandlers():
        logging.getLogger("lightning").handlers.clear()  # its own prints what the root's prints as well
    _LIGHTNING_SAYS.addFilter(_is_no_advertisement)
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\).*is deprecated")
    warnings.filterwarnings("ignore", message=r"Found \d+ module\(s\) in eval mode")  # those that are frozen
    warnings.filterwarnings("ignore", message=r"You're resuming from a checkpoint that ended before the epoch ended")
    warnings.filterwarnings("ignore", message=r"It is recommended to use .*sync_dist=True")  # scores are of all ranks
    warnings.filterwarnings("ignore", message=r"Checkpoint directory .* exists and is not empty")
    warnings.filterwarnings("ignore", message=r"Dynamo detected a call to a `functools.lru_cache`")  # of constants
    warnings.filterwarnings("ignore", message=r"The `srun` command is available on your system but is not used")


def _is_no_advertisement(record: logging.LogRecord) -> bool:
    return "Tip: For seamless cloud" not in str(record.msg)
