"""What of a config makes a run the one it is.

Training asks whether a folder's run is still the same, analysis which runs differ in nothing but their seed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

NEUTRAL_KEYS = (
    "hydra", "logger", "paths", "resume", "slurm", "sweep", "data.root", "data.num_workers", "data.cache", "data.check",
    "trainer.accelerator", "trainer.devices", "trainer.num_nodes", "trainer.strategy",
    "callbacks.best.every_minutes", "callbacks.best.agree_every_n_steps", "callbacks.best.stop_signals",
    "profile", "callbacks.profile",
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


def without_seed(config: Mapping[str, Any]) -> dict[str, str]:
    """What runs have in common that differ in nothing but their seed.

    Args:
        config: resolved, in plain containers.

    Returns:
        `relevant` without `seed` and the keys of that name that follow it (`data.seed`).
    """
    every = relevant(config)
    seed = every.get("seed")
    return {key: value for key, value in every.items() if key.rpartition(".")[2] != "seed" or value != seed}


def overrides_in(run_id: str) -> list[str] | None:
    """The overrides that a run id spells out, in Hydra's grammar; the reverse of `sbanet.training.run_id`.

    Returns:
        None where it does not tell them all (it ends in a digest), or is no such id.
    """
    if run_id == "default":
        return []
    parts = [part.partition("-") for part in run_id.split("--")]
    if not all(key and dash for key, dash, _ in parts):
        return None
    return [f"{key.replace('__', '/')}={value}" for key, _, value in parts]


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
