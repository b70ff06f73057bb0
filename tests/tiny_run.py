"""Runs small enough that a test can train one: 64 px, a few scenes, half a million parameters."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from omegaconf import DictConfig

from sbanet.config import compose

NODES = (
    "model.backbone.channels=[8,16,16,16]",
    "model.backbone.depths=[1,1,1,1]",
    "model.text_encoder.width=32",
    "model.text_encoder.depth=1",
    "model.decoder.hidden=32",
)
DATA = (
    "data.image_size=64",
    "data.scenes_per_split={train: 8, val: 3, test: 4}",
    "data.batch_size=4",
    "data.eval_batch_size=4",
)
SCHEDULE = (
    "trainer=cpu",
    "trainer.max_epochs=2",
    "trainer.precision=32-true",
    "trainer.log_every_n_steps=1",
    "callbacks.progress=null",
    "optim.lr=0.001",
)
TINY = (*NODES, *DATA, *SCHEDULE)


Train = Callable[..., dict[str, float]]
"""`train_tiny(folder, *overrides)` -> the scores of a run in that folder."""


def tiny_config(folder: Path, cache: Path, *overrides: str) -> DictConfig:
    """A run in `folder`; further overrides come last and so win."""
    return compose("train", [*TINY, f"paths.cache={cache}", f"paths.run={folder}", *overrides])


@contextmanager
def settings_as_they_were() -> Iterator[None]:
    """Put back what a run sets for its whole process."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    matmul_precision = torch.get_float32_matmul_precision()
    fill = torch.utils.deterministic.fill_uninitialized_memory
    interrupt, terminate = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    try:
        with torch.random.fork_rng(), warnings.catch_warnings():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
        torch.set_float32_matmul_precision(matmul_precision)
        torch.utils.deterministic.fill_uninitialized_memory = fill
        signal.signal(signal.SIGINT, interrupt)
        signal.signal(signal.SIGTERM, terminate)
