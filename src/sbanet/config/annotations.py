"""Does a value from a config fit a parameter's annotation?

Only what is certain is refused: an annotation that cannot be evaluated, or that says nothing about plain
values, fits everything.
"""

from __future__ import annotations

import collections.abc
import enum
import inspect
import os
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Literal

from omegaconf import DictConfig, ListConfig

_PLAIN: dict[Any, tuple[type, ...]] = {bool: (bool,), int: (int,), float: (float, int), str: (str,)}


def evaluated_annotation(parameter: inspect.Parameter, function: Callable[..., Any]) -> Any:
    """The annotation of a parameter as an object; `Any` where it cannot be had without guessing.

    Args:
        parameter: of the function's signature.
        function: the function or class whose module gives names their meaning.
    """
    annotation = parameter.annotation
    if annotation is inspect.Parameter.empty:
        return Any
    if isinstance(annotation, str):
        code = function.__init__ if isinstance(function, type) else function  # type: ignore[misc]
        names = getattr(inspect.unwrap(code), "__globals__", {})
        try:
            annotation = eval(annotation, dict(names))
        except Exception:  # a name that is imported for type checkers only
            return Any
    return annotation | None if parameter.default is None and _may_be_united(annotation) else annotation


def fits(value: Any, annotation: Any) -> bool:
    """Whether a value from a config may be given where the annotation stands.

    Args:
        value: a plain value, or a node of the config.
        annotation: an evaluated annotation.
    """
    if annotation is Any or (isinstance(value, DictConfig) and "_target_" in value):
        return True  # what a node builds is not known before it is built
    origin, members = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, member) for member in members)
    if origin is typing.Annotated:
        return fits(value, members[0])
    if origin is Literal:
        return any(value == member and type(value) is type(member) for member in members)
    kind = origin or annotation
    if kind in (None, types.NoneType):
        return value is None
    if not isinstance(kind, type) or kind is object:
        return True
    if kind in _PLAIN:
        return isinstance(value, _PLAIN[kind]) and (kind is bool or not isinstance(value, bool))
    if isinstance(value, ListConfig | Sequence) and not isinstance(value, str):
        return _sequence_fits(value, kind, members)
    if isinstance(value, Mapping | DictConfig):
        return _mapping_fits(value, kind, members)
    return _plain_value_fits(value, kind)


def described(annotation: Any) -> str:
    """An annotation as a user would write it."""
    if typing.get_origin(annotation) is Literal:
        return "one of " + ", ".join(map(repr, typing.get_args(annotation)))
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        return annotation.__name__
    return re.sub(r"\b(\w+\.)+(?=\w)", "", str(annotation))  # names without their modules


def builds_objects(annotation: Any) -> bool:
    """Whether the annotation asks for an object or a factory, which only a node of the config can give."""
    members = typing.get_args(annotation)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return any(builds_objects(member) for member in members)
    kind = typing.get_origin(annotation) or annotation
    if kind is collections.abc.Callable:
        return True
    return isinstance(kind, type) and kind.__module__ not in ("builtins", "pathlib", "os", "collections.abc")


def _sequence_fits(value: Any, kind: Any, members: tuple[Any, ...]) -> bool:
    if issubclass(kind, str | Mapping | os.PathLike) or kind is collections.abc.Callable:
        return False
    if not issubclass(kind, collections.abc.Iterable):
        return True
    if issubclass(kind, tuple) and members and Ellipsis not in members:
        return len(value) == len(members) and all(map(fits, value, members))
    return not members or all(fits(element, members[0]) for element in value)


def _mapping_fits(value: Any, kind: type, members: tuple[Any, ...]) -> bool:
    if issubclass(kind, Mapping) and len(members) == 2:
        return all(fits(value[name], members[1]) for name in value)
    return not issubclass(kind, Sequence | os.PathLike)


def _plain_value_fits(value: Any, kind: type) -> bool:
    """A number, a string or None where a class is expected."""
    if getattr(kind, "_is_protocol", False) or issubclass(kind, enum.Enum):
        return True
    if issubclass(kind, os.PathLike | PurePath):
        return isinstance(value, str | os.PathLike)
    return isinstance(value, kind)


def _may_be_united(annotation: Any) -> bool:
    return isinstance(annotation, type | types.UnionType) or typing.get_origin(annotation) is not None
