"""The pre-flight check: everything about a config that can be wrong without data or a GPU, at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from omegaconf import Container, DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, InterpolationToMissingValueError, OmegaConfBaseException

from sbanet.config.binding import UNKNOWN, bind
from sbanet.config.problems import Problem
from sbanet.config.rules import RULES, SUPPLIED
from sbanet.errors import ConfigError

_ONLY_IN_A_RUN = "HydraConfig was not set"
"""Part of the error of `${hydra:...}` where a config is composed outside a Hydra program."""


def check(cfg: DictConfig) -> list[Problem]:
    """Find all that is wrong with a composed config.

    Every value is resolved, every node with a `_target_` is bound to the target's signature (unknown
    arguments, missing ones, values against their annotations), and the rules of `sbanet.config.rules`
    are applied. The modules of the targets are imported; nothing is built.

    Args:
        cfg: a composed config; a node `hydra` is passed over.

    Returns:
        The problems in the order of their keys; none for a sound config.
    """
    problems: list[Problem] = []
    for name in cfg:
        if name != "hydra":
            _entry(cfg, name, str(name), problems)
    for rule in RULES:
        problems.extend(rule(cfg))
    return sorted(set(problems))


def require_sound(cfg: DictConfig) -> None:
    """Refuse a config with problems.

    Raises:
        ConfigError: with all problems, one a line.
    """
    problems = check(cfg)
    if len(problems) == 1:
        raise ConfigError(str(problems[0]))
    if problems:
        raise ConfigError(f"{len(problems)} problems in the config\n" + "\n".join(f"  {p}" for p in problems))


def _entry(parent: Container, name: Any, key: str, problems: list[Problem]) -> Any:
    """Resolve one entry, note what is wrong with it and below it, and return its value."""
    if OmegaConf.is_missing(parent, name):
        problems.append(Problem(key, f"is required and has no value: give {key}=<value>"))
        return UNKNOWN
    referring = OmegaConf.is_interpolation(parent, name)
    try:
        value = parent[name]
    except OmegaConfBaseException as error:
        problems.extend(_broken_reference(key, error))
        return UNKNOWN
    if not referring and isinstance(value, DictConfig | ListConfig):
        _node(value, key, problems)
    return value


def _node(node: DictConfig | ListConfig, key: str, problems: list[Problem]) -> None:
    names = range(len(node)) if isinstance(node, ListConfig) else list(node)
    values = {str(name): _entry(node, name, f"{key}.{name}", problems) for name in names}
    if isinstance(node, DictConfig) and "_target_" in values:
        problems.extend(bind(key, values, SUPPLIED.get(key)))


def _broken_reference(key: str, error: OmegaConfBaseException) -> Iterator[Problem]:
    if isinstance(error, InterpolationToMissingValueError) or _ONLY_IN_A_RUN in str(error):
        return  # the missing value is reported at its own key; a run will know what it composes
    text = str(error).strip().partition("\n")[0]
    if isinstance(error, InterpolationKeyError):
        text = f"refers to a key that does not exist: {text}"
    yield Problem(key, text)
