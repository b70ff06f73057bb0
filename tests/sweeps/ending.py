"""A callback that says what a rank computes with, and ends one rank of one job before its time."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback


class Ending(Callback):
    """`when`: `setup` = before the first step, `step` = within the training; `how`: `error` or `kill`."""

    def __init__(self, seed: int, rank: int, when: str, how: str) -> None:
        self.seed, self.rank, self.when, self.how = seed, rank, when, how

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self._end("setup", trainer, pl_module)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, *_: Any) -> None:
        said = {"seed": pl_module.seed, "lr": pl_module.optim.lr, "world_size": trainer.world_size}
        Path(trainer.default_root_dir, f"rank-{trainer.global_rank}.json").write_text(json.dumps(said))
        self._end("step", trainer, pl_module)

    def _end(self, now: str, trainer: L.Trainer, pl_module: Any) -> None:
        if (now, pl_module.seed, trainer.global_rank) == (self.when, self.seed, self.rank):
            if self.how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise RuntimeError(f"ended in {now} on rank {self.rank}")
