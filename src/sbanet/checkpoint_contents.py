"""What a checkpoint holds, and where two of them differ, as rows for a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from sbanet.training.run_config import differences


def info(checkpoint: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a reader wants to know of a checkpoint, as (name, value)."""
    about, weights = checkpoint["sbanet"], checkpoint["state_dict"]
    config = about["config"]
    numbers = sum(value.numel() for value in weights.values() if isinstance(value, torch.Tensor))
    facts = {
        "schema": about["schema"],
        "written by": f"sbanet {about['version']}" if "version" in about else None,
        "experiment": config.get("name"),
        "seed": config.get("seed"),
        "epoch": checkpoint.get("epoch"),
        "optimiser steps": checkpoint.get("global_step"),
        "numbers in its weights": f"{numbers:,}",
        "can be trained on": "yes" if checkpoint.get("optimizer_states") else "no, it has no optimiser state",
        "holds an average of the weights": "yes" if "current_model_state" in checkpoint else "no",
    }
    facts |= {name: f"{value:.4f}" for name, value in about.get("metrics", {}).items()}
    return [(name, str(value)) for name, value in facts.items() if value is not None]


def diff(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Where two checkpoints differ, as (name, value of the one, of the other); of weights the largest change."""
    sides = [{"config": side["sbanet"]["config"], "dataset": {}} for side in (one, other)]
    rows = [(key, before, now) for key, (before, now) in differences(*sides).items()]
    rows += [
        (name, str(one.get(key)), str(other.get(key)))
        for name, key in (("epoch", "epoch"), ("optimiser steps", "global_step"))
        if one.get(key) != other.get(key)
    ]
    weights, others = one["state_dict"], other["state_dict"]
    for name in sorted(weights.keys() | others.keys()):
        if change := _change(weights.get(name), others.get(name)):
            rows.append((name, *change))
    return rows


def _change(one: Any, other: Any) -> tuple[str, str] | None:
    """What of two entries of a state dict is worth saying; None where they are the same to the bit."""
    if not isinstance(one, torch.Tensor) or not isinstance(other, torch.Tensor):
        return None if type(one) is type(other) and one == other else (_kind(one), _kind(other))
    if one.shape != other.shape or one.dtype != other.dtype:
        return _kind(one), _kind(other)
    if torch.equal(one, other):
        return None
    return _kind(one), f"differs by up to {(one.double() - other.double()).abs().max().item():.3g}"


def _kind(value: Any) -> str:
    if value is None:
        return "(absent)"
    return f"{tuple(value.shape)} {value.dtype}" if isinstance(value, torch.Tensor) else type(value).__name__
