"""Whether two configs describe the same run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sbanet.run_identity import relevant

ABSENT = "(absent)"


def config_hash(config: Mapping[str, Any]) -> str:
    """A digest of all that changes results; equal on every machine and rank that computes the same.

    Args:
        config: resolved, in plain containers.

    Returns:
        64 hexadecimal digits: the SHA-256 of the canonical JSON.
    """
    return hashlib.sha256(json.dumps(relevant(config), sort_keys=True).encode()).hexdigest()


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """What changed between two starts of a run.

    Args:
        before: with `config`, resolved, and `dataset` (name, fingerprint).
        now: likewise.

    Returns:
        Dotted key -> (old, new) as JSON text, for the keys that change results.
    """
    old, new = (relevant(side["config"]) | relevant({"dataset": side["dataset"]}) for side in (before, now))
    return {
        key: (old.get(key, ABSENT), new.get(key, ABSENT))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    }
