"""Guessing what a mistyped name was meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_ENOUGH_ALIKE = 0.6
_NEARLY_SURE = 0.85
_SURE = 0.93


def close_matches(name: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """The known names that look like this one, the closest first.

    For a dotted key, one that ends alike comes before one that merely looks alike: `num_queries` means
    `model.alignment.num_queries`.

    Args:
        name: what the user wrote.
        known: what could have been meant.
        limit: how many to return at most.
    """
    known = list(dict.fromkeys(known))
    tail = _tail(name)
    same_tail = [key for key in known if _tail(key) == tail]
    for candidates, cutoff in ((same_tail, _NEARLY_SURE), (known, _SURE)):
        if best := difflib.get_close_matches(name, candidates, n=1, cutoff=cutoff):
            return best
    ranked = difflib.get_close_matches(name, same_tail, n=limit, cutoff=0.0)
    ranked += difflib.get_close_matches(name, known, n=limit, cutoff=_ENOUGH_ALIKE)
    if not ranked:
        alike_tails = set(difflib.get_close_matches(tail, map(_tail, known), n=limit, cutoff=_ENOUGH_ALIKE))
        ranked = [key for key in known if _tail(key) in alike_tails]
    return list(dict.fromkeys(ranked))[:limit]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x' or 'y'?`, or nothing where no known name is close."""
    matches = close_matches(name, known)
    return f"; did you mean {' or '.join(map(repr, matches))}?" if matches else ""


def _tail(key: str) -> str:
    """The last part of a dotted key or of a group's path."""
    return key.replace("/", ".").rpartition(".")[2]
