"""What all tests share: no network, no screen, and where the real data lies."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

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


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Hydra replaces the root logger's handlers by one on a stream that the test closes."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
