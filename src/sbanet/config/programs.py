"""Commands that Hydra runs: run folder, multirun, launchers."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import hydra
from omegaconf import DictConfig

from sbanet.config import locate
from sbanet.config.composition import HYDRA_VERSION
from sbanet.config.errors import clear_errors

_HYDRA_RAISES = "HYDRA_FULL_ERROR"


def program(config_name: str) -> Callable[[Callable[[DictConfig], Any]], Callable[..., Any]]:
    """Make a task function a command, as `hydra.main` does.

    Over `hydra.main`: the config tree is found from any working directory, in a checkout and in a wheel,
    and a mistake of the user comes out as one line with exit code 2. A return value is handed to sweepers.

    Args:
        config_name: the root config, without `.yaml`.

    Returns:
        A decorator. What it makes reads `sys.argv`, or runs the task at once on a config that it is given.
    """

    def decorate(task: Callable[[DictConfig], Any]) -> Callable[..., Any]:
        @functools.wraps(task)
        def main(cfg: DictConfig | None = None) -> Any:
            if cfg is not None:
                return task(cfg)
            # Hydra ends the process on an error unless this is set; our message needs the error itself.
            # The task, and the processes that it starts, see what the user had set.
            asked = os.environ.get(_HYDRA_RAISES)

            @functools.wraps(task)
            def run(cfg: DictConfig) -> Any:
                # inside the task too, before Hydra prints a line of its own about it
                with _variable(_HYDRA_RAISES, asked), clear_errors(config_name):
                    return task(cfg)

            with clear_errors(config_name), _variable(_HYDRA_RAISES, "1"):
                hydra.main(str(locate.config_dir()), config_name, HYDRA_VERSION)(run)()
            return None

        return main

    return decorate


@contextmanager
def _variable(name: str, value: str | None) -> Iterator[None]:
    """An environment variable set (None: unset) for the block, and put back after it."""
    before = os.environ.get(name)
    _set(name, value)
    try:
        yield
    finally:
        _set(name, before)


def _set(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
