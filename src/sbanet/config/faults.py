"""Finding all overrides that cannot be composed, where Hydra names the first."""

from __future__ import annotations

from dataclasses import replace

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from sbanet.config.arguments import Arguments, override_key
from sbanet.config.explain import explain
from sbanet.config.keys import config_groups
from sbanet.config.problems import Problem
from sbanet.config.sweep import sweep_variants


def faulty_overrides(arguments: Arguments, config_name: str) -> tuple[Arguments, list[Problem]]:
    """Part the overrides that compose from those that do not.

    Args:
        arguments: a command line that failed to compose.
        config_name: the root config of the command.

    Returns:
        The command line without its faulty overrides, and a problem for each of these.
    """
    groups = set(config_groups(arguments.own_configs))
    # a group is chosen before its values are set, wherever they stand on the command line
    ordered = sorted(arguments.overrides, key=lambda override: override_key(override) not in groups)
    kept = replace(arguments, overrides=[])
    problems = []
    for override in ordered:
        tried = replace(kept, overrides=[*kept.overrides, override])
        if fault := _fault(tried, config_name):
            problems.append(Problem(override_key(override), fault))
        else:
            kept = tried
    return kept, problems


def _fault(arguments: Arguments, config_name: str) -> str | None:
    """Why a command line does not compose, None if it does."""
    try:
        for _ in sweep_variants(arguments):
            pass
    except (HydraException, OmegaConfBaseException) as error:
        return explain(error, config_name, arguments) or str(error)
    return None
