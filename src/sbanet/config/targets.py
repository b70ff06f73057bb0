"""From the dotted name in `_target_` to the class or function."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from types import ModuleType
from typing import Any

from sbanet.config.suggest import did_you_mean
from sbanet.errors import ConfigError


def locate_target(name: str) -> Callable[..., Any]:
    """Import what a `_target_` names.

    Args:
        name: a dotted path to a class, a function or a class method.

    Raises:
        ConfigError: a module or a name in it does not exist, importing a module failed, or what is there
            cannot be called.
    """
    root, *parts = name.split(".")
    here: Any = _import(root, name)
    path = root
    for part in parts:
        path = f"{path}.{part}"
        here = _member(here, part, path)
    if not callable(here):
        raise ConfigError(f"'{name}' is a {type(here).__name__}; expected a class or a function")
    return here


def _member(parent: Any, part: str, path: str) -> Any:
    try:
        return getattr(parent, part)
    except AttributeError:
        if not isinstance(parent, ModuleType):
            raise ConfigError(f"'{path}' does not exist{_alike(parent, part, path)}") from None
        return _import(path, path, _alike(parent, part, path))


def _import(module: str, name: str, hint: str = "") -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module:
            raise ConfigError(f"'{name}' does not exist{hint}") from None
        raise ConfigError(f"importing '{module}' fails: there is no module '{error.name}'") from error
    except Exception as error:
        raise ConfigError(f"importing '{module}' fails: {type(error).__name__}: {error}") from error


def _alike(parent: Any, part: str, path: str) -> str:
    """The names beside it that look like the one that is not there."""
    names = {name for name in dir(parent) if not name.startswith("_")}
    if isinstance(parent, ModuleType) and hasattr(parent, "__path__"):
        names |= {module.name for module in pkgutil.iter_modules(parent.__path__)}
    prefix = path.removesuffix(part)
    return did_you_mean(path, [f"{prefix}{name}" for name in sorted(names)])
