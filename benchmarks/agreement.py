"""What it costs that ranks agree on saving and stopping: python benchmarks/agreement.py RANKS [STEPS].

A step of a model of one number is all overhead; the difference between two rows is what a step of any model pays.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from sbanet.console import console
from sbanet.training.checkpoints import RunCheckpoints

ROUNDS = 5
WARM_UP = 20
"""Steps that are not counted."""


class OneNumber(L.LightningModule):
    """The least that can be trained."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch: torch.Tensor, _: int) -> torch.Tensor:
        """Any loss."""
        return self.layer(batch).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Any optimiser."""
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Clock(Callback):
    """Notes when each step begins."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_train_batch_start(self, *_: Any) -> None:
        """Note it."""
        self.times.append(time.perf_counter())


def milliseconds_a_step(ranks: int, steps: int, callbacks: list[Callback]) -> float:
    """The mean over the steps of one training."""
    clock = Clock()
    trainer = L.Trainer(
        accelerator="cpu", devices=ranks, strategy="ddp" if ranks > 1 else "auto", max_steps=steps + WARM_UP,
        callbacks=[clock, *callbacks], logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=bool(callbacks),
    )  # fmt: skip
    trainer.fit(OneNumber(), torch.utils.data.DataLoader(torch.ones(ranks * (steps + WARM_UP), 1)))  # type: ignore[arg-type]
    times = clock.times[WARM_UP:]
    return 1000 * (times[-1] - times[0]) / (len(times) - 1)


def main(ranks: int, steps: int) -> None:
    """Take turns, so that other work on the machine falls on all."""
    found: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for name, every in {"without": 0, "every 10 steps": 10, "every step": 1}.items():
            with tempfile.TemporaryDirectory() as folder:
                options = {"agree_every_n_steps": every, "every_minutes": 60, "stop_signals": ["SIGUSR1"]}
                keep = [RunCheckpoints(folder, save_top_k=0, **options)] if every else []
                found.setdefault(name, []).append(milliseconds_a_step(ranks, steps, keep))
    if torch.distributed.is_initialized() and torch.distributed.get_rank():
        return
    for name, times in found.items():
        listed = ", ".join(f"{taken:.3f}" for taken in sorted(times))
        console().print(f"{ranks} ranks, agreeing {name}: {statistics.median(times):.3f} ms a step ({listed})")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 300)
