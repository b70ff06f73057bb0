"""What a target can be called with, bases included."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

from sbanet.config.annotations import evaluated_annotation

Parameters = Mapping[str, inspect.Parameter]

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def call_parameters(target: Callable[..., Any]) -> Parameters:
    """The parameters of a class or function, their annotations evaluated where that is possible.

    Where a constructor hands its `**options` on with `super().__init__(..., **options)`, the parameters of
    the base that it leaves open take the place of `**options`.

    Raises:
        TypeError, ValueError: the target has no signature (it is written in C).
    """
    if not isinstance(target, type):
        return _evaluated(inspect.signature(target).parameters, target)
    constructors = [vars(kind)["__init__"] for kind in target.__mro__[:-1] if "__init__" in vars(kind)]
    if not constructors or inspect.signature(target).parameters.keys() != _own(constructors[0]).keys():
        return _evaluated(inspect.signature(target).parameters, target)  # made by `__new__` or a metaclass
    return _forwarding(constructors)


def by_name(parameters: Parameters) -> list[str]:
    """The names that may be given as keywords."""
    return [name for name, parameter in parameters.items() if parameter.kind in _BY_NAME]


def takes_any_name(parameters: Parameters) -> bool:
    """Whether there is a `**options`."""
    return any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())


def required(parameters: Parameters) -> list[str]:
    """The names without a default."""
    return [name for name in by_name(parameters) if parameters[name].default is inspect.Parameter.empty]


def _forwarding(constructors: list[Callable[..., None]]) -> dict[str, inspect.Parameter]:
    first, *bases = constructors
    parameters = _own(first)
    options = next((name for name, p in parameters.items() if p.kind is inspect.Parameter.VAR_KEYWORD), None)
    call = _base_call(first) if options and bases else None
    if call is None or not any(
        keyword.arg is None and isinstance(keyword.value, ast.Name) and keyword.value.id == options
        for keyword in call.keywords
    ):
        return parameters
    base = _forwarding(bases)
    given = {keyword.arg for keyword in call.keywords} | set(by_name(base)[: len(call.args)])
    own = {name: parameter for name, parameter in parameters.items() if name != options}
    return own | {name: p for name, p in base.items() if name not in given and name not in own}


def _own(constructor: Callable[..., None]) -> dict[str, inspect.Parameter]:
    _self, *names = (parameters := inspect.signature(constructor).parameters)
    return _evaluated({name: parameters[name] for name in names}, constructor)


def _evaluated(parameters: Parameters, function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return {
        name: parameter.replace(annotation=evaluated_annotation(parameter, function))
        for name, parameter in parameters.items()
    }


def _base_call(constructor: Callable[..., None]) -> ast.Call | None:
    """The call of `super().__init__` in a constructor's source, None where there is none to be seen."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(constructor)))
    except (OSError, SyntaxError, TypeError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "super().__init__":
            return node
    return None
