"""A job of a sweep as a command of its own, wherever it runs."""

from __future__ import annotations

import sys
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sbanet.errors import ConfigError
from sbanet.training.run_folder import RunFolder

OF_THE_SWEEP = ("hydra.mode", "hydra.sweep", "hydra.sweeper", "hydra.launcher", "hydra.run", "hydra.callbacks")
"""Hydra's own settings that a single job must not be given."""


def job_command(folder: Path) -> list[str]:
    """The command of the job that Hydra is at, in RUN mode."""
    quoted = str(folder).replace("\\", "\\\\").replace("'", "\\'")
    return [
        sys.executable, "-m", "sbanet.train", *_config_arguments(),
        *task_overrides(), *_hydra_overrides(OF_THE_SWEEP), f"hydra.run.dir='{quoted}'",
    ]  # fmt: skip


def launch_arguments() -> list[str]:
    """What, beside the overrides of the job that Hydra is at, makes a sweep of it alone that is launched the same."""
    return [*_config_arguments(), *_hydra_overrides(("hydra.mode",))]


def task_overrides() -> list[str]:
    """The overrides of the job that Hydra is at."""
    return list(HydraConfig.get().overrides.task)


def scores_of_finished(folder: RunFolder, cfg: DictConfig) -> dict[str, float] | None:
    """The scores of a job that has nothing to do; one whose config or folder is damaged says so itself."""
    try:
        if not folder.facts:
            return None
        config = OmegaConf.to_container(cfg, resolve=True)
        assert isinstance(config, dict)
        return folder.scores_of_finished({str(key): value for key, value in config.items()})
    except (OmegaConfBaseException, ConfigError):
        return None


def _config_arguments() -> list[str]:
    choices = HydraConfig.get()
    own = [
        source.path for source in choices.runtime.config_sources if source.provider == "command-line"
    ]  # of --config-dir
    directories = ["--config-dir", own[0]] if own else []
    return ["--config-name", str(choices.job.config_name), *directories]


def _hydra_overrides(without: tuple[str, ...]) -> list[str]:
    """The overrides of Hydra itself, without those below some keys."""
    given = HydraConfig.get().overrides.hydra
    return [o for o in given if not o.lstrip("+~").replace("/", ".").startswith(without)]
