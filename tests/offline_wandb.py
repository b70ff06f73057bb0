"""What offline W&B runs have on the disk, in plain containers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import wandb

from sbanet.training.wandb_files import logs, records


def settled(folder: Path) -> list[Path]:
    """The logs, once W&B's own process has ended and so has written all of them."""
    wandb.teardown()
    return logs(folder)


def history(folder: Path) -> list[dict[str, Any]]:
    """The rows of all starts of a run, in their order."""
    found = [record.history for log in settled(folder) for record in records(log) if record.HasField("history")]
    return [updated({}, row.item) for row in found]


def summary(folder: Path) -> dict[str, Any]:
    """Of all starts together, as a server would have it."""
    values: dict[str, Any] = {}
    for log in settled(folder):
        for record in records(log):
            if record.HasField("summary"):
                updated(values, record.summary.update)
    return values


def runs(folder: Path) -> list[Any]:
    """What each start said of itself: id, name, group, tags, config."""
    return [record.run for log in settled(folder) for record in records(log) if record.HasField("run")]


def exit_codes(folder: Path) -> list[int | None]:
    """Of each start; None of one that was killed."""
    ends = [[record.exit.exit_code for record in records(log) if record.HasField("exit")] for log in settled(folder)]
    return [codes[0] if codes else None for codes in ends]


def updated(values: dict[str, Any], items: Any) -> dict[str, Any]:
    """Values with those of a record in their places."""
    for item in items:
        *parents, key = item.nested_key or [item.key]
        place = values
        for parent in parents:
            place = place.setdefault(parent, {})
        place[key] = json.loads(item.value_json)
    return values
