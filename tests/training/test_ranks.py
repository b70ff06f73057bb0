"""A global batch is one batch, on however many ranks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from tests.tiny_run import TINY

ROOT = Path(__file__).resolve().parents[2]
STEPS = 20


def curve(folder: Path, cache: Path, *overrides: str) -> pd.DataFrame:
    """What `metrics.csv` says of each training step of a run in processes of its own."""
    command = [
        sys.executable, "-m", "sbanet.train", *TINY, f"paths.cache={cache}", f"hydra.run.dir={folder}", "test=false",
        "data.batch_size=8", "trainer.max_epochs=-1", f"trainer.max_steps={STEPS}", "callbacks.pictures=null",
        "+callbacks.norms._target_=tests.training.frozen_norms.FrozenNorms", *overrides,
    ]  # fmt: skip
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]), "OMP_NUM_THREADS": "1"
    }  # fmt: skip
    subprocess.run(command, env=environment, check=True, timeout=600)
    return pd.read_csv(folder / "metrics.csv").dropna(subset="train/loss").set_index("step")


@pytest.mark.slow
def test_two_ranks_with_half_a_batch_each_learn_as_one(scene_cache: Path, tmp_path: Path) -> None:
    alone = curve(tmp_path / "one", scene_cache)
    shared = curve(tmp_path / "two", scene_cache, "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")
    assert list(alone.index) == list(shared.index) == list(range(STEPS))
    for term in ("train/loss", "train/bce", "train/dice"):
        one, two = (torch.tensor(run[term].to_numpy()) for run in (alone, shared))
        torch.testing.assert_close(two, one, rtol=1e-4, atol=0)
    assert alone["train/loss"].std() > 0.01
