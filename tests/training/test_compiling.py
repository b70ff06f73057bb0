"""Training steps may be compiled: one graph, whatever the sentences' lengths."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from tests.tiny_run import Train


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What `torch.compile` was asked for; a graph that is broken is an error, code is not generated."""
    torch.compiler.reset()
    compile_graph, asked = torch.compile, []

    def of_one_graph(function: Any, **options: Any) -> Any:
        asked.append(options)
        return partial(counted, compile_graph(function, backend="aot_eager", fullgraph=True, **options))

    def counted(function: Any, image: Any, token_ids: Any, *others: Any) -> Any:
        asked.append({"tokens": token_ids.shape[1]})
        return function(image, token_ids, *others)

    monkeypatch.setattr(torch, "compile", of_one_graph)
    return asked


@pytest.mark.slow
def test_a_compiled_training_learns_the_same(train_tiny: Train, tmp_path: Path, compiled: list[dict[str, Any]]) -> None:
    scores, curves, names = [], [], []
    for compiles in (False, True):
        folder = tmp_path / str(compiles)
        scores.append(train_tiny(folder, f"trainer.compile={compiles}"))
        curves.append(torch.tensor(pd.read_csv(folder / "metrics.csv")["train/loss"].dropna().to_numpy()))
        names.append(torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"].keys())
    first, *steps = compiled
    assert first == {"dynamic": False}
    assert len(steps) == len(curves[0]) > 4, "every training step, and no evaluation"
    assert len({step["tokens"] for step in steps}) == 1
    torch.testing.assert_close(curves[1][:3], curves[0][:3], rtol=1e-5, atol=0)
    torch.testing.assert_close(curves[1], curves[0], rtol=2e-3, atol=0)  # what differs in the last digits grows
    assert curves[0].std() > 0.02
    assert scores[1].keys() == scores[0].keys()
    assert names[0] == names[1]
