"""What a process that loads data leaves to the one that trains: cores, memory, and what to do about signals."""

from __future__ import annotations

import gc
import signal
from typing import Any

import cv2
import torch

LAST_SECONDS = 60
"""Of a loader process that was told to end: the training that was told as well needs batches until it has saved."""


def begin(_: int) -> None:
    """Be modest, and outlive the training; the `worker_init_fn` of loaders."""
    be_modest()
    outlive_training()


def be_modest() -> None:
    """Take one core, and the memory of the parent.

    More threads would only compete with training, and a garbage collection write to every object there is.
    """
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    gc.freeze()


def outlive_training() -> None:
    """Leave to the training what is done about signals that all processes of a job are sent, as by SLURM or Ctrl-C.

    Without a loader it would fail instead of saving. Who sends SIGTERM twice means this process.
    """
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_later)


def _end_later(number: int, _: Any) -> None:
    signal.signal(number, signal.SIG_DFL)
    signal.alarm(LAST_SECONDS)
