"""Ranks that would compute different runs are told so, each of them."""

from __future__ import annotations

from typing import Any

import lightning as L
import pytest
import torch.distributed

from sbanet.errors import ConfigError
from sbanet.training import agreement
from sbanet.training.agreement import AgreeingRanks


def set_up(config: dict[str, Any], others: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """As on the rank of `config`, first of `[config, *others]`."""
    ranks = [config, *others]
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(
        agreement,
        "gathered",
        lambda value: ranks if isinstance(value, dict) else [agreement.config_hash(rank) for rank in ranks],
    )
    trainer = type("Trainer", (), {"world_size": len(ranks)})()
    AgreeingRanks(config).setup(trainer, L.LightningModule(), "fit")


def test_equal_configs_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    set_up({"optim": {"lr": 0.1}}, [{"optim": {"lr": 0.1}}], monkeypatch)
    set_up({"optim": {"lr": 0.1}, "paths": {"run": "a"}}, [{"optim": {"lr": 0.1}, "paths": {"run": "b"}}], monkeypatch)


def test_the_keys_that_differ_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = [{"optim": {"lr": 0.1}, "seed": 1}] * 2 + [{"optim": {"lr": 0.2}, "seed": 1}]
    with pytest.raises(ConfigError, match=r"^rank 2 has another config than rank 0: optim.lr 0.1 -> 0.2; start all"):
        set_up(ranks[0], ranks[1:], monkeypatch)


def test_one_process_has_nobody_to_ask() -> None:
    trainer = type("Trainer", (), {"world_size": 1})()
    AgreeingRanks({"seed": 1}).setup(trainer, L.LightningModule(), "fit")
