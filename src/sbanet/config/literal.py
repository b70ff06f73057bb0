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
    literal: dict[str, str] = {}
    rest = []
    for argument in argv:
        match = _ARGUMENT.fullmatch(argument)
        if match is None or match[1] not in keys:
            rest.append(argument)
            continue
        key, value = match.groups()
        if key in literal:
            raise ConfigError(f"{key} came twice: '{literal[key]}' and '{value}'; give it once")
        if not value:
            raise ConfigError(f"{key}= came without a value; write {key}=<value>")
        literal[key] = value
    return literal, rest


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
    for argument in positional:
        match = _ARGUMENT.fullmatch(argument)
        if match is not None:
            raise ConfigError(
                f"unknown argument '{match[1]}' in '{argument}'{did_you_mean(match[1], keys)}; known: {', '.join(keys)}"
            )
    return literal, positional
