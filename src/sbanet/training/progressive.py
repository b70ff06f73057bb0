"""Small pictures first, the network's own size later: the first part of a training at a fraction of its cost."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import Callback

from sbanet.data.records import Batch
from sbanet.errors import ConfigError


class ProgressiveResolution(Callback):
    """Shrinks the training batches of the first steps; validation and test see the network's own size.

    Which size a step sees is a function of the step alone, so a run that is continued sees the same.
    Source: progressive learning as in EfficientNetV2 (Tan and Le, ICML 2021), in two stages.

    Args:
        scale: side of the pictures in the first part, as a share of the network's.
        until: length of the first part, as a share of all optimiser steps; 0 = there is none.

    Raises:
        ConfigError: a scale outside (0, 1], or a share outside [0, 1].
    """

    def __init__(self, scale: float, until: float) -> None:
        if not 0 < scale <= 1 or not 0 <= until <= 1:
            raise ConfigError(
                f"callbacks.progressive: got scale={scale}, until={until}; "
                "expected a scale above 0 and up to 1, and a share of the steps from 0 to 1"
            )
        self.scale = scale
        self.until = until
        self._small_steps = 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Count the steps of the first part; how many there are in all is known from here on."""
        self._small_steps = round(self.until * trainer.estimated_stepping_batches)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Shrink the batch in place, in the first part."""
        if trainer.global_step < self._small_steps:
            shrink(batch, self.scale)


def shrink(batch: Batch, scale: float) -> None:
    """Resize the images (antialiased) and targets (nearest) of a batch to a share of their sides, in place."""
    size = [max(1, round(scale * side)) for side in batch.image.shape[-2:]]
    image = F.interpolate(batch.image, size, mode="bilinear", antialias=True)
    batch.image = image.contiguous(memory_format=torch.channels_last)
    target = batch.target[:, None].to(torch.uint8)
    batch.target = F.interpolate(target, size, mode="nearest-exact")[:, 0].bool()
