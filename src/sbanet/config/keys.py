"""The names that a config tree offers: groups, root configs, dotted keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sbanet.config import locate
from sbanet.config.arguments import Arguments, override_key
from sbanet.config.composition import compose


def root_configs() -> list[str]:
    """The names of the root configs."""
    return sorted(path.stem for path in locate.config_dir().glob("*.yaml"))


def root_keys() -> set[str]:
    """The top-level keys of a run: what `train.yaml` writes itself, and the groups that it lists."""
    primary = OmegaConf.load(locate.config_dir() / locate.PRIMARY)
    assert isinstance(primary, DictConfig)
    groups = {str(group) for entry in primary.get("defaults", []) if entry != "_self_" for group in entry}
    names = {group.rpartition(" ")[2].partition("/")[0].partition("@")[0] for group in groups}
    return (names | set(map(str, primary)) | {"hydra"}) - {"defaults"}


def config_groups(own_configs: Path | str | None = None) -> list[str]:
    """The groups of the config tree (`model/alignment`), and those of a folder of the user's own."""
    return list(group_options(own_configs))


def group_options(own_configs: Path | str | None = None) -> dict[str, list[str]]:
    """The names of the configs in each group, both sorted; of `model/alignment` they are `bam`, `pwam` and so on."""
    found: dict[str, set[str]] = {}
    for tree in [locate.config_dir()] + ([Path(own_configs)] if own_configs else []):
        for folder in tree.rglob("*/"):
            if options := {path.stem for path in folder.glob("*.yaml")}:
                found.setdefault(folder.relative_to(tree).as_posix(), set()).update(options)
    return {group: sorted(found[group]) for group in sorted(found)}


def known_keys(config_name: str, arguments: Arguments, without: str) -> list[str]:
    """The dotted keys that the config would have had without one faulty override.

    Args:
        config_name: the root config of the command.
        arguments: the command line.
        without: the key of the override that failed.

    Returns:
        The keys; none where nothing at all can be composed.
    """
    kept = [o for o in arguments.overrides if override_key(o) != without]
    for overrides in (kept, []):
        try:
            cfg = compose(
                arguments.config_name or config_name,
                overrides,
                own_configs=arguments.own_configs,
                with_hydra=without.startswith("hydra"),
            )
        except (HydraException, OmegaConfBaseException):
            continue
        return list(_dotted(OmegaConf.to_container(cfg, resolve=False)))
    return []


def _dotted(node: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(node, Mapping):
        for name, value in node.items():
            if str(name).startswith("_"):
                continue  # `_target_` and the like are Hydra's
            key = f"{prefix}{name}"
            yield key
            yield from _dotted(value, f"{key}.")
