"""How long the saving of `last.ckpt` holds a training up: python benchmarks/checkpoint_saving.py FOLDER [MILLIONS]."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch

from sbanet.console import console
from sbanet.training.checkpoints import WholeCheckpoints

SWIN_B_AND_BERT = 228
"""Millions of parameters."""
TENSOR = 1_000_000
SAVINGS = 3


def main(folder: Path, millions: int) -> None:
    """Save the weights and the two moments of Adam, of random numbers, a few times into a folder, and remove them."""
    checkpoint = {
        kind: {str(number): torch.rand(TENSOR) for number in range(millions)}
        for kind in ("state_dict", "first_moments", "second_moments")
    }
    path = folder / "last.ckpt"
    seconds = []
    for _ in range(SAVINGS):
        began = time.perf_counter()
        WholeCheckpoints().save_checkpoint(checkpoint, path)
        seconds.append(time.perf_counter() - began)
    gigabytes = path.stat().st_size / 1e9
    for file in folder.glob("*.ckpt"):
        file.unlink()
    times = ", ".join(f"{taken:.1f}" for taken in seconds)
    console().print(f"{millions} M parameters, {gigabytes:.2f} GB: {times} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else SWIN_B_AND_BERT)
