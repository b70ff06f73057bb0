"""What should be equal in runs that are compared, and is not: each difference is a sentence that warns."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import pandas as pd

from sbanet.analysis.rows import Row
from sbanet.analysis.runs import Run
from sbanet.run_identity import relevant, without_seed

UNKNOWN = "unknown"

Fact = Callable[[Run, str], Hashable]
"""(run, predictions file) -> a value that all runs should share."""


def _fingerprint(split: str | None = None) -> Fact:
    """Of a split, or of the one that was predicted."""

    def read(run: Run, file: str) -> Hashable:
        found = (run.facts.get("dataset") or {}).get("fingerprint", UNKNOWN)
        return str(found.get(split or file.partition("_")[0], UNKNOWN) if isinstance(found, dict) else found)

    return read


def _config(*endings: str) -> Fact:
    """The config's values of the keys that end so (`data.image_size`)."""

    def read(run: Run, file: str) -> Hashable:
        config = relevant(run.facts.get("config") or {})
        values = [value for key, value in config.items() if f".{key}".endswith(tuple(f".{end}" for end in endings))]
        return ", ".join(dict.fromkeys(values)) or UNKNOWN

    return read


def _fact(name: str) -> Fact:
    return lambda run, file: str(run.facts.get(name) or UNKNOWN)


FACTS: dict[str, Fact] = {
    "dataset fingerprint": _fingerprint(),
    "dataset fingerprint of what they learnt from": _fingerprint("train"),
    "network size of the protocol (data.image_size)": _config("data.image_size"),
    "resizing (data.resize)": _config("data.resize"),
    "text length (max_tokens)": _config("max_tokens"),
    "git commit": _fact("git_commit"),
    "status": _fact("status"),
}
"""What should be equal -> where it stands."""

DESCRIBED = ("sample_id", "image", "expression", "category", "tags", "target_pixels")
"""What is said of a sample, beside what `OF_A_FRAME` looks at."""

OF_A_FRAME: dict[str, Callable[[pd.DataFrame], Hashable]] = {
    "dataset": lambda frame: ", ".join(map(str, frame["dataset"].unique())),
    "split": lambda frame: ", ".join(map(str, frame["split"].unique())),
    "number of samples": len,
}
"""What should be equal -> how predictions tell it."""


def disagreements(rows: Sequence[Row]) -> list[str]:
    """A sentence for each thing that should be equal in all models that are compared, and is not.

    Args:
        rows: controls are left out; they belong to runs that are there anyway.
    """
    models = [row for row in rows if not row.control]
    warnings = []
    for name, fact in FACTS.items():
        values: dict[Any, list[tuple[Row, int]]] = {}
        for row in models:
            for place, run in enumerate(row.runs):
                values.setdefault(fact(run, row.file), []).append((row, place))
        if len(values) > 1:
            warnings.append(f"Runs differ in {name}: {_listed(values)}.")
    return [*warnings, *_samples(models), *_seeds(models), *_twice(models)]


def _listed(values: dict[Any, list[tuple[Row, int]]]) -> str:
    return "; ".join(f"{value} in {_named(places)}" for value, places in values.items())


def _named(places: Sequence[tuple[Row, int]], most: int = 6) -> str:
    """Rows by their names; where only some runs of a row are meant, with their seeds."""
    named = []
    for row in dict.fromkeys(row for row, _ in places):
        runs = [row.runs[place] for other, place in places if other is row]
        seeds = ", ".join(str(run.facts.get("seed")) for run in runs)
        named.append(row.name if len(runs) == len(row.runs) else f"{row.name} (seed {seeds})")
    more = f" and {len(named) - most} more" if len(named) > most else ""
    return ", ".join(named[:most]) + more


def _samples(models: Sequence[Row]) -> list[str]:
    """Split, number, identity and content of the samples."""
    reference, key = models[0].predictions, models[0].run.samples_key(models[0].file)
    warnings = []
    for what, value in OF_A_FRAME.items():
        values: dict[Any, list[tuple[Row, int]]] = {}
        for row in models:
            for place, frame in enumerate(row.frames):
                values.setdefault(value(frame), []).append((row, place))
        if len(values) > 1:
            warnings.append(f"Runs differ in {what}: {_listed(values)}.")
    other = [
        (row, place)
        for row in models
        for place, (run, frame) in enumerate(zip(row.runs, row.frames, strict=True))
        if run.samples_key(row.file) != key
        and len(frame) == len(reference)
        and any(frame[column].tolist() != reference[column].tolist() for column in DESCRIBED)
    ]
    if other:
        warnings.append(f"Samples, sentences, tags or targets are not those of {models[0].name}: {_named(other)}.")
    return warnings


def _seeds(models: Sequence[Row]) -> list[str]:
    values: dict[Any, list[tuple[Row, int]]] = {}
    for row in models:
        seeds = ", ".join(str(run.facts.get("seed")) for run in row.runs)
        values.setdefault(f"{seeds}", []).extend((row, place) for place in range(len(row.runs)))
    if len(values) > 1 and max(len(row.runs) for row in models) > 1:
        return [f"Runs differ in seeds: {_listed(values)}."]
    return []


def _twice(models: Sequence[Row]) -> list[str]:
    """Rows of one config and one seed: copies, or repetitions that seeds do not tell apart."""
    seen: dict[Hashable, str] = {}
    warnings = []
    for row in models:
        config = row.run.facts.get("config")
        key = (frozenset(without_seed(config).items()), row.run.facts.get("seed")) if config else row.name
        if key in seen:
            warnings.append(f"The same config and seed twice: {seen[key]} and {row.name}.")
        seen.setdefault(key, row.name)
    return warnings
