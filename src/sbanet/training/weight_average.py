"""The exponential moving average of the weights: what is validated, tested and kept; training goes on with its own."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks.weight_averaging import WeightAveraging
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from sbanet.errors import ConfigError


class WeightAverage(WeightAveraging):
    """Averages the weights over the optimiser steps: `average = d * average + (1 - d) * weights`.

    d is `decay`, and less at the beginning: after n averaged steps `min(decay, (1 + n) / (warmup + n))`, so that a
    short training does not remember its random start. BatchNorm's statistics are averaged like the weights that they
    belong to; whole numbers, such as its count of batches, are copied. What does not change stays equal to the bit.

    Validation, test, pictures and the `state_dict` of checkpoints are the average; beside it a checkpoint holds the
    weights that training goes on with (`current_model_state`). Over Lightning's own:

    - a test after training keeps the average; Lightning's puts the training's weights back when it loads `best.ckpt`;
    - a checkpoint that is written while the average is in the model, in validation or at the end of the training,
      holds both as well.

    Args:
        decay: d in the long run, in [0, 1).
        warmup: 1 or more; 1 = the full decay from the first step.

    Raises:
        ConfigError: a number outside its range.
    """

    def __init__(self, decay: float, warmup: float) -> None:
        if not 0 <= decay < 1 or warmup < 1:
            raise ConfigError(
                f"callbacks.ema: got decay={decay}, warmup={warmup}; "
                "expected a decay from 0 to below 1, and a warm-up of 1 or more"
            )
        super().__init__(use_buffers=True, multi_avg_fn=self._update)
        self.decay = decay
        self.warmup = warmup
        self._in_model = False  # whether the module holds the average, and the averaged model the training's weights

    def decay_after(self, steps: int) -> float:
        """The decay once so many steps are averaged."""
        return min(self.decay, (1 + steps) / (self.warmup + steps))

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Begin with a copy of the module."""
        super().setup(trainer, pl_module, stage)
        if stage == "fit":
            self._in_model = False

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Put the average into the module."""
        self._exchange(pl_module, average_in_model=True)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Put the training's weights back, if it goes on."""
        if trainer.state.fn == TrainerFn.FITTING:
            self._exchange(pl_module, average_in_model=False)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave the average in the module."""
        self._exchange(pl_module, average_in_model=True)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Write the average as `state_dict`, the training's weights beside it, wherever the two are now."""
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        if self._in_model:
            in_model, outside = checkpoint["current_model_state"], checkpoint["state_dict"]
            checkpoint["state_dict"], checkpoint["current_model_state"] = in_model, outside

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Go on with both; whoever only scores a checkpoint has the average already."""
        if trainer.state.fn == TrainerFn.FITTING:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)

    def _exchange(self, pl_module: L.LightningModule, *, average_in_model: bool) -> None:
        if self._average_model is not None and self._in_model != average_in_model:
            self._swap_models(pl_module)
            self._in_model = average_in_model

    def _update(self, averages: list[Tensor], values: list[Tensor], steps: Tensor) -> None:
        """Average tensors of one device and dtype, in place."""
        if averages[0].is_floating_point():
            # as a linear interpolation, which leaves equal numbers as they are
            torch._foreach_lerp_(averages, values, 1 - self.decay_after(int(steps)))
        else:
            torch._foreach_copy_(averages, values)
