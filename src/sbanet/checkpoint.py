"""`sbanet-checkpoint`: what a checkpoint holds, and where two of them differ."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from sbanet.config import clear_errors
from sbanet.console import console
from sbanet.errors import ConfigError
from sbanet.inference import read_checkpoint
from sbanet.training.run_config import differences

_ABOUT = """Look into checkpoints: sbanet-checkpoint info last.ckpt
sbanet-checkpoint diff one.ckpt other.ckpt: the keys of the config, and the weights, that are not the same."""

FILES = {"info": 1, "diff": 2}
"""The number of files that each word takes."""


@clear_errors()
def main(argv: Sequence[str] | None = None) -> None:
    """Look into checkpoints from the command line; `argv` is `sys.argv` unless given.

    The arguments are taken as they are: a file may be called `epoch=3.ckpt`.
    """
    parser = argparse.ArgumentParser("sbanet-checkpoint", description=_ABOUT)
    parser.add_argument("word", choices=FILES)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    arguments = parser.parse_args(sys.argv[1:] if argv is None else argv)
    if len(arguments.files) != FILES[arguments.word]:
        raise ConfigError(
            f"got {len(arguments.files)} files, expected {FILES[arguments.word]}: "
            f"sbanet-checkpoint {arguments.word} {' '.join(['FILE'] * FILES[arguments.word])}"
        )
    contents = [read_checkpoint(file) for file in arguments.files]
    rows: Sequence[tuple[str, ...]] = info(*contents) if arguments.word == "info" else diff(*contents)
    if not rows:
        console().print("the same config, weights and progress")
        return
    table = Table("", *map(str, arguments.files))
    for row in rows:
        table.add_row(*row)
    console().print(table)


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


if __name__ == "__main__":
    main()
