"""Whether two configs describe the same run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from sbanet.training.run_id import changes_results

ABSENT = "(absent)"


def config_hash(config: Mapping[str, Any]) -> str:
    """A digest of all that changes results; equal on every machine and rank that computes the same.

    Args:
        config: resolved, in plain containers.

    Returns:
        64 hexadecimal digits: the SHA-256 of the canonical JSON.
    """
    return hashlib.sha256(json.dumps(_relevant(config), sort_keys=True).encode()).hexdigest()


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """What changed between two starts of a run.

    Args:
        before: with `config`, resolved, and `dataset` (name, fingerprint).
        now: likewise.

    Returns:
        Dotted key -> (old, new) as JSON text, for the keys that change results.
    """
    old, new = (_relevant(side["config"]) | _relevant({"dataset": side["dataset"]}) for side in (before, now))
    return {
        key: (old.get(key, ABSENT), new.get(key, ABSENT))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    }


def _relevant(config: Mapping[str, Any]) -> dict[str, str]:
    """Dotted key -> value as JSON text; text, so that NaN equals NaN and a tuple its list."""
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
