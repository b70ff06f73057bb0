"""Binding a config node to the signature of its `_target_`, without calling it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, ListConfig

from sbanet.config.annotations import builds_objects, described, fits
from sbanet.config.problems import Problem
from sbanet.config.signatures import Parameters, by_name, call_parameters, required, takes_any_name
from sbanet.config.suggest import did_you_mean
from sbanet.config.targets import locate_target
from sbanet.errors import ConfigError

_OF_HYDRA = {"_target_", "_partial_", "_recursive_", "_convert_", "_args_"}

UNKNOWN: Any = object()
"""Stands for a value that is missing, or that only the running program knows."""


def bind(key: str, values: Mapping[str, Any], supplied: frozenset[str] | None) -> Iterator[Problem]:
    """What is wrong with one node.

    Args:
        key: the dotted key of the node.
        values: the node's own entries, interpolations resolved; `UNKNOWN` fits everything.
        supplied: the arguments that the code adds to this node, None where that is not known.

    Yields:
        Problems: no such target, unknown or missing arguments, values against their annotations.
    """
    name = values["_target_"]
    if name is UNKNOWN:
        return
    try:
        parameters = call_parameters(locate_target(str(name)))
    except ConfigError as error:
        yield Problem(f"{key}._target_", str(error))
        return
    except (TypeError, ValueError):  # written in C, without a signature
        return
    given = {argument: value for argument, value in values.items() if argument not in _OF_HYDRA}
    yield from _unknown_arguments(key, str(name), given, parameters)
    yield from _wrongly_supplied(key, str(name), given, supplied or frozenset(), parameters)
    own = {argument: value for argument, value in given.items() if argument not in (supplied or ())}
    yield from _misfits(key, own, parameters)
    if supplied is not None or values.get("_partial_") is not True:
        positional = values.get("_args_")
        by_position = by_name(parameters)[: 0 if positional in (None, UNKNOWN) else len(positional)]
        filled = given.keys() | set(by_position) | (supplied or frozenset())
        for argument in required(parameters):
            if argument not in filled:
                text = f"{name} needs '{argument}': give {key}.{argument}=<value>"
                yield Problem(f"{key}.{argument}", text)


def _unknown_arguments(key: str, target: str, given: Mapping[str, Any], parameters: Parameters) -> Iterator[Problem]:
    if takes_any_name(parameters):
        return
    known = by_name(parameters)
    for argument in given:
        if argument not in known:
            hint = did_you_mean(argument, known) or f"; it takes {', '.join(known) or 'no argument'}"
            yield Problem(f"{key}.{argument}", f"{target} has no argument '{argument}'{hint}")


def _misfits(key: str, given: Mapping[str, Any], parameters: Parameters) -> Iterator[Problem]:
    for argument in given.keys() & set(by_name(parameters)):
        value, annotation = given[argument], parameters[argument].annotation
        if value is UNKNOWN or fits(value, annotation):
            continue
        text = f"is {_shown(value)}, expected {described(annotation)}"
        if isinstance(value, str) and builds_objects(annotation):
            text += f"; a config of a group is chosen with {key.replace('.', '/')}/{argument}={value}"
        yield Problem(f"{key}.{argument}", text)


def _wrongly_supplied(
    key: str, target: str, given: Mapping[str, Any], supplied: frozenset[str], parameters: Parameters
) -> Iterator[Problem]:
    for argument in sorted(supplied & given.keys()):
        yield Problem(f"{key}.{argument}", "is supplied by the program; remove it from the config")
    refused = sorted(supplied - set(by_name(parameters)))
    if refused and not takes_any_name(parameters):
        yield Problem(key, f"{target} does not take {', '.join(refused)}, which the program supplies")


def _shown(value: Any) -> str:
    if isinstance(value, DictConfig | ListConfig):
        return str(value)
    return f"{value!r} ({type(value).__name__})"
