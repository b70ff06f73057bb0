"""Checks across keys that need neither data nor a GPU; one function a rule, listed in `RULES`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sbanet.config.keys import root_keys
from sbanet.config.problems import Problem
from sbanet.config.resolvers import coarsest_grid
from sbanet.config.suggest import did_you_mean

SUPPLIED: dict[str, frozenset[str]] = {
    "model.alignment": frozenset({"channels", "width", "stage"}),
    "model.aggregator": frozenset({"channels", "width"}),
    "model.decoder": frozenset({"channels"}),
    "model.positions": frozenset({"channels", "stages"}),
    "data": frozenset({"tokenizer", "mean", "std"}),
    "optim.schedule": frozenset({"optimizer", "total_steps", "warmup_steps"}),
    "trainer": frozenset(
        {"callbacks", "logger", "default_root_dir", "enable_progress_bar", "enable_checkpointing", "plugins"}
    ),
}
"""The arguments that the code adds to a node of the config, by the node's key."""


RELEASED_SIZE = 480
"""Pixels of the images that RMSIN's official code is made for."""


def batch_is_divisible(cfg: DictConfig) -> Iterator[Problem]:
    """The global batch is dealt to all devices and accumulation steps without a remainder."""
    batch = _integer(cfg, "data.batch_size")
    nodes = _integer(cfg, "trainer.num_nodes") or 1
    devices = _device_count(_value(cfg, "trainer.devices"))
    accumulate = _integer(cfg, "trainer.accumulate_grad_batches") or 1
    if batch is None or devices is None:
        return
    parts = nodes * devices * accumulate
    if batch < 1 or batch % parts:
        yield Problem(
            "data.batch_size",
            f"is {batch}, the images of one optimiser step over all devices; expected a multiple of {parts}"
            f" = {nodes} (trainer.num_nodes) x {devices} (trainer.devices)"
            f" x {accumulate} (trainer.accumulate_grad_batches)",
        )


def validation_falls_between_steps(cfg: DictConfig) -> Iterator[Problem]:
    """A checkpoint is written at validation, when no gradient may be pending."""
    interval = _integer(cfg, "trainer.val_check_interval")
    accumulate = _integer(cfg, "trainer.accumulate_grad_batches") or 1
    if interval is not None and interval % accumulate:
        yield Problem(
            "trainer.val_check_interval",
            f"is {interval} batches; expected a multiple of trainer.accumulate_grad_batches ({accumulate})",
        )


def grid_is_that_of_the_images(cfg: DictConfig) -> Iterator[Problem]:
    """RMSIN's aggregator is made for one size of image."""
    grid, size = _value(cfg, "model.aggregator.grid"), _integer(cfg, "data.image_size")
    if grid is None or size is None:
        return
    expected = list(coarsest_grid(size))
    if list(grid) != expected:
        layout = "" if size == RELEASED_SIZE else " and model.aggregator.layout=intended"
        yield Problem(
            "model.aggregator.grid",
            f"is {list(grid)}, but images of {size} pixels (data.image_size) have a coarsest map of {expected}; "
            f"set model.aggregator.grid={str(expected).replace(' ', '')}{layout}",
        )


def profiled_steps_are_not_compiled(cfg: DictConfig) -> Iterator[Problem]:
    """A profile tells modules apart, which breaks a compiled graph: what it showed would be another training."""
    if _value(cfg, "profile") is True and _value(cfg, "trainer.compile") is True:
        yield Problem("profile", "is true, which shows modules as they are; expected trainer.compile=false with it")


def seed_is_an_integer(cfg: DictConfig) -> Iterator[Problem]:
    """Everything random in a run follows from it."""
    seed = _value(cfg, "seed")
    if seed is not None and _integer(cfg, "seed") is None:
        yield Problem("seed", f"is {seed!r} ({type(seed).__name__}), expected an integer")


def root_keys_are_known(cfg: DictConfig) -> Iterator[Problem]:
    """An experiment file that writes `modle:` adds a key that nothing reads.

    Keys that resemble no known one are somebody's own, to be referred to by others.
    """
    known = root_keys()
    for key in map(str, cfg):
        if key not in known and (hint := did_you_mean(key, known)):
            yield Problem(key, f"nothing reads this key{hint}")


RULES: tuple[Callable[[DictConfig], Iterable[Problem]], ...] = (
    batch_is_divisible,
    validation_falls_between_steps,
    grid_is_that_of_the_images,
    profiled_steps_are_not_compiled,
    seed_is_an_integer,
    root_keys_are_known,
)
"""All rules; a rule is silent about keys that the config does not have."""


def _value(cfg: DictConfig, key: str) -> Any:
    """The value of a dotted key, None where it is not there or cannot be resolved."""
    try:
        return OmegaConf.select(cfg, key)
    except OmegaConfBaseException:
        return None


def _integer(cfg: DictConfig, key: str) -> int | None:
    value = _value(cfg, key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _device_count(devices: Any) -> int | None:
    """How many devices a node uses; None where only the machine can tell (`auto`, -1)."""
    if isinstance(devices, ListConfig | list):
        return len(devices) or None
    if isinstance(devices, str) and devices.isdecimal():
        devices = int(devices)
    if isinstance(devices, int) and not isinstance(devices, bool) and devices > 0:
        return devices
    return None
