"""Binding a config node to the signature of its `_target_`, without calling it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, ListConfig

from sbanet.config.annotations import builds_objects, described, evaluated_annotation, fits
from sbanet.config.problems import Problem
from sbanet.config.suggest import did_you_mean
from sbanet.config.targets import locate_target
from sbanet.errors import ConfigError

Parameters = Mapping[str, inspect.Parameter]

_OF_HYDRA = {"_target_", "_partial_", "_recursive_", "_convert_", "_args_"}
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)

UNKNOWN: Any = object()
"""Stands for a value that is missing, or that only the running program knows."""


def bind(key: str, values: Mapping[str, Any], supplied: frozenset[str] | None) -> Iterator[Problem]:
    """What is wrong with one node.

    Args:
        key: the dotted key of the node.
        values: the node's own entries, interpolations resolved; `UNKNOWN` fits everything.
        supplied: the arguments that the code adds to this partial node, None where that is not known.

    Yields:
        Problems: no such target, unknown or missing arguments, values against their annotations.
    """
    name = values["_target_"]
    if name is UNKNOWN:
        return
    try:
        target = locate_target(str(name))
        parameters = inspect.signature(target).parameters
    except ConfigError as error:
        yield Problem(f"{key}._target_", str(error))
        return
    except (TypeError, ValueError):  # written in C, without a signature
        return
    given = {argument: value for argument, value in values.items() if argument not in _OF_HYDRA}
    yield from _unknown_arguments(key, str(name), given, parameters)
    yield from _misfits(key, target, given, parameters)
    partial = values.get("_partial_") is True
    if partial and supplied is not None:
        yield from _wrongly_supplied(key, str(name), given, supplied, parameters)
    if not partial or supplied is not None:
        filled = given.keys() | (supplied or frozenset() if partial else frozenset())
        yield from _missing_arguments(key, str(name), filled, values.get("_args_"), parameters)


def _unknown_arguments(
    key: str, target: str, given: Mapping[str, Any], parameters: Parameters
) -> Iterator[Problem]:
    if _takes_any_name(parameters):
        return
    known = [name for name, parameter in parameters.items() if parameter.kind in _BY_NAME]
    for argument in given:
        if argument not in known:
            hint = did_you_mean(argument, known) or f"; it takes {', '.join(known) or 'no argument'}"
            yield Problem(f"{key}.{argument}", f"{target} has no argument '{argument}'{hint}")


def _missing_arguments(
    key: str,
    target: str,
    filled: set[str],
    positional: Any,
    parameters: Parameters,
) -> Iterator[Problem]:
    by_position = 0 if positional in (None, UNKNOWN) else len(positional)
    for position, (name, parameter) in enumerate(parameters.items()):
        required = parameter.default is inspect.Parameter.empty and parameter.kind in _BY_NAME
        if required and name not in filled and position >= by_position:
            yield Problem(f"{key}.{name}", f"{target} needs '{name}': give {key}.{name}=<value>")


def _misfits(
    key: str,
    target: Callable[..., Any],
    given: Mapping[str, Any],
    parameters: Parameters,
) -> Iterator[Problem]:
    for argument, value in given.items():
        parameter = parameters.get(argument)
        if parameter is None or parameter.kind not in _BY_NAME or value is UNKNOWN:
            continue
        annotation = evaluated_annotation(parameter, target)
        if fits(value, annotation):
            continue
        text = f"is {_shown(value)}, expected {described(annotation)}"
        if isinstance(value, str) and builds_objects(annotation):
            text += f"; a config of a group is chosen with {key.replace('.', '/')}/{argument}={value}"
        yield Problem(f"{key}.{argument}", text)


def _shown(value: Any) -> str:
    if isinstance(value, DictConfig | ListConfig):
        return str(value)
    return f"{value!r} ({type(value).__name__})"


def _wrongly_supplied(
    key: str,
    target: str,
    given: Mapping[str, Any],
    supplied: frozenset[str],
    parameters: Parameters,
) -> Iterator[Problem]:
    for argument in sorted(supplied & given.keys()):
        yield Problem(f"{key}.{argument}", "is supplied by the program; remove it from the config")
    refused = sorted(supplied - parameters.keys())
    if refused and not _takes_any_name(parameters):
        yield Problem(key, f"{target} does not take {', '.join(refused)}, which the program supplies")


def _takes_any_name(parameters: Parameters) -> bool:
    return any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
