"""How many images a second the training sees."""

from __future__ import annotations

import time
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback


class Throughput(Callback):
    """Measures images a second over all ranks, loading included, validation and pictures left out.

    Args:
        warmup: batches at the start that do not count.
    """

    def __init__(self, warmup: int = 5) -> None:
        self.warmup = warmup
        self.images = 0
        self.seconds = 0.0
        self._batches = 0
        self._since: float | None = None

    @property
    def images_per_second(self) -> float | None:
        """The mean so far; None before the warm-up is over."""
        return self.images / self.seconds if self.seconds else None

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The clock starts when the first batch is asked for."""
        self._since = time.perf_counter()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """What validation took does not count."""
        self._since = time.perf_counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the batch and the time since the one before."""
        now = time.perf_counter()
        self._batches += 1
        if self._since is not None and self._batches > self.warmup:
            self.images += len(batch) * trainer.world_size
            self.seconds += now - self._since
        self._since = now
