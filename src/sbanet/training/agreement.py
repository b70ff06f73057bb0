"""Proof that all ranks of a run compute by the same config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning as L
import torch.distributed
from lightning.pytorch.callbacks import Callback

from sbanet.errors import ConfigError
from sbanet.training.run_config import config_hash, differences


class AgreeingRanks(Callback):
    """Compares the config's hash over the ranks before the first step.

    Args:
        config: of this rank, resolved, in plain containers.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Compare, as soon as the ranks can speak to each other.

        Raises:
            ConfigError: on every rank, with the keys that differ.
        """
        if trainer.world_size == 1 or not torch.distributed.is_initialized():
            return
        if len(set(gathered(config_hash(self.config)))) == 1:
            return
        first, *others = gathered(dict(self.config))
        for rank, other in enumerate(others, start=1):
            if changed := differences({"config": first, "dataset": {}}, {"config": other, "dataset": {}}):
                listed = ", ".join(f"{key} {old} -> {new}" for key, (old, new) in changed.items())
                raise ConfigError(
                    f"rank {rank} has another config than rank 0: {listed}; start all ranks by the same command"
                )


def gathered(value: Any) -> list[Any]:
    """A value of every rank, in their order; to be called by all."""
    values: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values
