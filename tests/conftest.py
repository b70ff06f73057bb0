"""What all tests share: no network, no screen, where the real data lies, and a small trained run."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .tiny_run import Train

os.environ.update(
    HF_HUB_OFFLINE="1",
    TRANSFORMERS_OFFLINE="1",
    WANDB_MODE="offline",
    WANDB_SILENT="true",
    NO_ALBUMENTATIONS_UPDATE="1",
    MPLBACKEND="Agg",
)


def folder_from(variable: str, holds: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"needs {holds}: set {variable} to the folder that holds them")
    if not Path(value).is_dir():
        pytest.fail(f"{variable}={value} is no folder; it should hold {holds}")
    return Path(value)


@pytest.fixture(scope="session")
def sbanet_data() -> Path:
    """The folder of real annotations and images."""
    return folder_from("SBANET_DATA", "real annotations and images")


@pytest.fixture(scope="session")
def sbanet_goldens() -> Path:
    """The folder of numbers that other implementations computed."""
    return folder_from("SBANET_GOLDENS", "reference numbers of other implementations")


@pytest.fixture(scope="session")
def scene_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the scenes of all small runs of the session are drawn."""
    return tmp_path_factory.mktemp("scenes")


@pytest.fixture
def process_settings() -> Iterator[None]:
    """Puts back what a trainer sets for its whole process."""
    from .tiny_run import settings_as_they_were

    with settings_as_they_were():
        yield


@pytest.fixture(scope="session")
def train_tiny(scene_cache: Path) -> Train:
    """Trains a run of `tests.tiny_run` in a folder; returns its scores."""
    from sbanet.running import train

    from .tiny_run import settings_as_they_were, tiny_config

    def run(folder: Path, *overrides: str) -> dict[str, float]:
        with settings_as_they_were():
            return train(tiny_config(folder, scene_cache, *overrides))

    return run


@pytest.fixture(scope="session")
def tiny_run(train_tiny: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished small run; shared, so copy it before anything is written there."""
    folder = tmp_path_factory.mktemp("runs") / "tiny" / "default"
    train_tiny(folder)
    return folder


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Hydra replaces the root logger's handlers by one on a stream that the test closes."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
