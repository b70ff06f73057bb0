"""What of a config makes a run the one it is.

Training asks whether a folder's run is still the same, analysis which runs differ in nothing but their seed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

NEUTRAL_KEYS = (
    "hydra", "logger", "paths", "resume", "sweep", "data.root", "data.num_workers", "data.check",
    "trainer.accelerator", "trainer.devices", "trainer.num_nodes", "trainer.strategy",
    "callbacks.best.every_minutes", "callbacks.best.stop_signals",
)  # fmt: skip
"""Where and how a run computes, not what: with all that lies below them, these keys change no result."""


def changes_results(key: str) -> bool:
    """Whether a run with another value of a config key is another run.

    Args:
        key: dotted (`trainer.devices`), or a config group (`logger`, `hydra/launcher`).
    """
    dotted = key.partition("@")[0].replace("/", ".")
    return not any(dotted == neutral or dotted.startswith(f"{neutral}.") for neutral in NEUTRAL_KEYS)


def relevant(config: Mapping[str, Any]) -> dict[str, str]:
    """What of a config changes results.

    Args:
        config: resolved, in plain containers.

    Returns:
        Dotted key -> value as JSON text; text, so that NaN equals NaN and a tuple its list. Paths below the
        config's own folders are told by their place there.
    """
    folders = _folders(config)
    return {
        key: json.dumps(_placed(value, folders), sort_keys=True, ensure_ascii=False, default=str)
        for key, value in _leaves(config)
        if changes_results(key)
    }


def _leaves(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in node.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{key}.")
        else:
            yield key, value


def _folders(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(key, path) of the folders that a config may place anywhere, the longest path first."""
    places = [
        (key, value.rstrip("/"))
        for key, value in _leaves(config)
        if isinstance(value, str) and (key.startswith("paths.") or key == "data.root")
    ]
    return sorted((place for place in places if place[1] not in ("", ".")), key=lambda place: -len(place[1]))


def _placed(value: Any, folders: list[tuple[str, str]]) -> Any:
    """A value with the paths in it told by their place below a folder: a run that was moved is the same."""
    if isinstance(value, str):
        for key, folder in folders:
            if value == folder or value.startswith(f"{folder}/"):
                return f"<{key}>{value[len(folder) :]}"
        return value
    if isinstance(value, Mapping):
        return {name: _placed(inner, folders) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_placed(inner, folders) for inner in value]
    return value
