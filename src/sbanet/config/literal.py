"""Arguments whose values are free text.

A sentence, a path or a file name is no Hydra grammar: `expression=the man's car`, `ckpt=epoch=3.ckpt` and
`image=photo(1).png` fail there. Such arguments are split at their first `=` and taken as they are.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from sbanet.config.suggest import did_you_mean
from sbanet.errors import ConfigError

_ARGUMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)


def split_literal(argv: Sequence[str], keys: Collection[str]) -> tuple[dict[str, str], list[str]]:
    """Take the arguments with the given keys literally and leave the others alone.

    Args:
        argv: the command line, without the program's name.
        keys: the keys whose values are free text.

    Returns:
        The literal values by key, and the remaining arguments (Hydra overrides and flags) in their order.

    Raises:
        ConfigError: a key came twice, or without a value.
    """
    literal, rest = _collect(argv, keys)
    return _single(literal), rest


def literal_arguments(argv: Sequence[str], keys: Collection[str]) -> tuple[dict[str, str], list[str]]:
    """The arguments of a command that takes no Hydra override at all.

    An argument `name=value` with a plain name is a key of the command; anything else is positional (so a
    path that holds a `=` behind a slash or a dot stays whole).

    Args:
        argv: the command line, without the program's name.
        keys: the keys that the command knows.

    Returns:
        The values by key, and the positional arguments.

    Raises:
        ConfigError: a key is not known, came twice or without a value.
    """
    literal, positional = split_literal(argv, keys)
    _refuse_unknown(positional, keys)
    return literal, positional


def repeatable_arguments(
    argv: Sequence[str], once: Collection[str], repeatable: Collection[str]
) -> tuple[dict[str, str], dict[str, list[str]], list[str]]:
    """As `literal_arguments`, for a command of which some keys may come several times.

    Args:
        argv: the command line, without the program's name.
        once: the keys that the command takes once.
        repeatable: the keys that it takes several times.

    Returns:
        The values of the keys taken once, those of the repeatable ones in their order, and the positional arguments.

    Raises:
        ConfigError: a key is not known, came without a value, or twice though it is taken once.
    """
    keys = (*once, *repeatable)
    literal, positional = _collect(argv, keys)
    single = _single({key: values for key, values in literal.items() if key in once})
    _refuse_unknown(positional, keys)
    return single, {key: literal[key] for key in repeatable if key in literal}, positional


def _collect(argv: Sequence[str], keys: Collection[str]) -> tuple[dict[str, list[str]], list[str]]:
    """The values of each key in their order, and the other arguments."""
    literal: dict[str, list[str]] = {}
    rest = []
    for argument in argv:
        match = _ARGUMENT.fullmatch(argument)
        if match is None or match[1] not in keys:
            rest.append(argument)
            continue
        key, value = match.groups()
        if not value:
            raise ConfigError(f"{key}= came without a value; write {key}=<value>")
        literal.setdefault(key, []).append(value)
    return literal, rest


def _single(literal: dict[str, list[str]]) -> dict[str, str]:
    for key, values in literal.items():
        if len(values) > 1:
            raise ConfigError(f"{key} came twice: '{values[0]}' and '{values[1]}'; give it once")
    return {key: values[0] for key, values in literal.items()}


def _refuse_unknown(positional: Sequence[str], keys: Collection[str]) -> None:
    for argument in positional:
        match = _ARGUMENT.fullmatch(argument)
        if match is not None:
            raise ConfigError(
                f"unknown argument '{match[1]}' in '{argument}'{did_you_mean(match[1], keys)}; known: {', '.join(keys)}"
            )
