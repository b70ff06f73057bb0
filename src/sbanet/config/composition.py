"""Composing a config from Python, for the commands that are not `hydra.main` programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import hydra
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from sbanet.config import locate

HYDRA_VERSION = "1.3"
"""The Hydra release whose defaults all programs keep to."""


def compose(
    config_name: str = "train",
    overrides: Sequence[str] = (),
    *,
    own_configs: Path | str | None = None,
    with_hydra: bool = False,
) -> DictConfig:
    """Compose a config of the project, as the command line would.

    May be called inside a Hydra program: the state of that program is put back afterwards.

    Args:
        config_name: the root config, without `.yaml`.
        overrides: in Hydra's override grammar.
        own_configs: a further folder of configs, searched after the project's (`--config-dir`).
        with_hydra: keep the node `hydra`.

    Returns:
        The config; interpolations are not resolved yet.

    Raises:
        HydraException: the overrides do not fit the configs (`clear_errors` words it for the user).
    """
    overrides = list(overrides)
    if own_configs is not None:
        overrides.append(f"hydra.searchpath=['file://{Path(own_configs).resolve()}']")
    with project_hydra():
        return hydra.compose(config_name, overrides, return_hydra_config=with_hydra)


@contextmanager
def project_hydra() -> Iterator[None]:
    """Hydra's global state set to the project's config tree for the block, and restored after it."""
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(locate.config_dir()), version_base=HYDRA_VERSION):
            yield
    finally:
        GlobalHydra.instance().clear()
        if outer is not None:
            GlobalHydra.instance().initialize(outer)
