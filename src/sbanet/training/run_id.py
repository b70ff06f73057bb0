"""A run's name in its experiment: what the command line changed, as far as it changes results.

The same command gives the same name, on a laptop and on a cluster: this is how a run finds its folder again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from sbanet.run_identity import changes_results

LONGEST = 120
"""Letters of a run id; a folder's name may have 255."""

_KEY = re.compile(r"[A-Za-z0-9]+([._/][A-Za-z0-9]+)*")
_VALUE = re.compile(r"[A-Za-z0-9_.]+(-[A-Za-z0-9_.]+)*")


def run_id(task_overrides: Sequence[str]) -> str:
    """The name of a run's folder within its experiment.

    `model/alignment=pwam seed=7` gives `model__alignment-pwam--seed-7`. Left out are the keys that change no
    result, the choice of a trainer, and what names the folder above: `name`, and `experiment` unless `name`
    takes its place. What cannot be spelled so that it can be read back unambiguously (lists, quotes,
    deletions), or is too long, is told apart by a hash at the end.

    Args:
        task_overrides: in Hydra's grammar, in any order; of two for one key the last counts, as in Hydra.

    Returns:
        At most `LONGEST` letters of `A-Za-z0-9_.-`; `default` where nothing is overridden.

    Raises:
        OverrideParseException: an override is not in Hydra's grammar.
    """
    parts = [_spelled(override) for override in _that_count(task_overrides)]
    name = "--".join(readable for readable, _ in parts) or "default"
    if all(exact is None for _, exact in parts) and len(name) <= LONGEST:
        return name
    content = json.dumps([exact or readable for readable, exact in parts])
    # Without a hyphen, so that it cannot be taken for a key and its value.
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    return f"{name[: LONGEST - len(digest) - 2].rstrip('-_.')}--{digest}"


def changes(task_overrides: Sequence[str]) -> str:
    """What `run_id` tells, for people: `model/alignment=pwam seed=7`; empty where nothing is overridden."""
    last = _that_count(task_overrides)
    return " ".join(f"~{_key(one)}" if one.is_delete() else f"{_key(one)}={_value(one)}" for one in last)


def register_resolvers() -> None:
    """Make `${run_id:${hydra.overrides.task}}` known to OmegaConf; call it before Hydra composes."""
    OmegaConf.register_new_resolver("run_id", run_id, replace=True)


def _that_count(task_overrides: Sequence[str]) -> list[Override]:
    """The overrides that name a run, sorted by their keys; of two for one key the last."""
    parsed = OverridesParser.create().parse_overrides(list(task_overrides))
    renamed = any(override.key_or_group == "name" for override in parsed)
    last = {_key(override): override for override in parsed if _counts(override, renamed)}
    return [last[key] for key in sorted(last)]


def _counts(override: Override, renamed: bool) -> bool:
    key = _key(override)
    if key == "experiment":
        # several experiments at once have no name of their own
        return renamed or isinstance(override.value(), list)
    return key not in ("name", "trainer") and changes_results(key)


def _key(override: Override) -> str:
    """`model/alignment` of `+model/alignment=pwam`."""
    return override.get_key_element().lstrip("+~")


def _spelled(override: Override) -> tuple[str, str | None]:
    """An override in a folder's letters, and its exact text where those do not tell it."""
    key, value = _key(override), _value(override)
    if not override.is_delete() and _KEY.fullmatch(key) and _VALUE.fullmatch(value):
        return f"{key.replace('/', '__')}-{value}", None
    said = [key.replace("/", "__"), value]
    letters = [re.sub(r"[^A-Za-z0-9_.-]+", "_", text).strip("-_.") for text in said]
    readable = "-".join(["no"] * override.is_delete() + [text for text in letters if text])
    return readable, f"{'~' if override.is_delete() else ''}{key}={value}"


def _value(override: Override) -> str:
    """The value as Hydra spells it, so that spaces within a list or around it make no other run."""
    if override.is_sweep_override():
        return (override.input_line or "").partition("=")[2]
    return "" if override.is_delete() and override.value() is None else override.get_value_element_as_str()
