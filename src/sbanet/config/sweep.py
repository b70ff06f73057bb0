"""The configs that a sweep would run, as few as show every value once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from sbanet.config.arguments import Arguments, override_key
from sbanet.config.composition import compose, project_hydra


def sweep_variants(arguments: Arguments) -> Iterator[DictConfig]:
    """Compose the config of a command line; of a sweep, each value once beside the first of the others.

    The sweep is what the command line spans (with `-m`) and what an experiment file asks for in
    `hydra.sweeper.params`. Not every job is composed: their number is a product, the variants a sum.

    Args:
        arguments: the command line.

    Yields:
        Configs with their node `hydra`; a single one where there is no sweep.
    """
    name = arguments.config_name or "train"
    spanned = _one_at_a_time(arguments.overrides) if arguments.multirun else [arguments.overrides]
    for overrides in spanned:
        cfg = compose(name, overrides, own_configs=arguments.own_configs, with_hydra=True)
        yield cfg
        taken = {override_key(override) for override in overrides}
        asked = [f"{key}={value}" for key, value in _sweep_of(cfg).items() if override_key(key) not in taken]
        for job in _one_at_a_time(asked) if asked else []:
            yield compose(name, [*overrides, *job], own_configs=arguments.own_configs, with_hydra=True)


def _one_at_a_time(overrides: Sequence[str]) -> list[list[str]]:
    """All first values together, then each further value of one sweep with the first of the others."""
    with project_hydra():
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
        choices = [
            [f"{parsed.get_key_element()}={value}" for value in parsed.sweep_string_iterator()]
            if parsed.is_sweep_override() and parsed.is_discrete_sweep()
            else [override]
            for override, parsed in zip(overrides, parser.parse_overrides(list(overrides)), strict=True)
        ]
    first = [values[0] for values in choices]
    return [first] + [
        [*first[:place], value, *first[place + 1 :]] for place, values in enumerate(choices) for value in values[1:]
    ]


def _sweep_of(cfg: DictConfig) -> dict[str, str]:
    """`hydra.sweeper.params` of an experiment file."""
    return dict(OmegaConf.select(cfg, "hydra.sweeper.params") or {})
