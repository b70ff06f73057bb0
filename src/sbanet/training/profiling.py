"""Where the time of a training step goes: a trace, and a table of operators by module."""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function, schedule

from sbanet.files import write_atomically

logger = logging.getLogger(__name__)

MODULE = "module: "
OF_BACKWARD = "autograd::engine::evaluate_function: "
OF_OPTIMIZER = "Optimizer.step#"


class Profile(Callback):
    """Records a few training steps with `torch.profiler`; the training itself is not changed.

    Writes `trace.json`, for chrome://tracing or ui.perfetto.dev, and `operators.md`: the time of each module and, in
    it, of each operator, forward and backward.

    Args:
        dirpath: folder of both.
        enabled: whether anything is done at all.
        warmup: steps at the start that are not recorded, 1 or more.
        steps: that are.
        depth: how far down modules are told apart, numbers not counted: 2 = `backbone.stages.0`, `alignments.0.gate`.
        rows: of the table of operators.
    """

    def __init__(
        self,
        dirpath: str | Path,
        *,
        enabled: bool = True,
        warmup: int = 3,
        steps: int = 3,
        depth: int = 2,
        rows: int = 60,
    ) -> None:
        self.dirpath = Path(dirpath)
        self.enabled = enabled
        self.warmup = warmup
        self.steps = steps
        self.depth = depth
        self.rows = rows
        self._profiler: profile | None = None
        self._hooks: list[Any] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin, on the first rank."""
        if not self.enabled or not trainer.is_global_zero:
            return
        self._hooks = name_calls(pl_module, self.depth)
        self._profiler = profile(
            activities=[ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * torch.cuda.is_available(),
            schedule=schedule(wait=self.warmup - 1, warmup=1, active=self.steps, repeat=1),
            on_trace_ready=self._write,
        )
        self._profiler.start()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Count the step; after the last one, be gone."""
        if self._profiler is None:
            return
        self._profiler.step()
        if self._profiler.step_num == self.warmup + self.steps:
            self._end()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """A training of fewer steps has nothing to show."""
        if self._profiler is not None:
            needed = self.warmup + self.steps
            logger.warning("profile=true needs %d training steps, there were %d", needed, self._profiler.step_num)
            self._end()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Leave nothing behind."""
        self._end()

    def _end(self) -> None:
        if self._profiler is not None:
            self._profiler.stop()
        for hook in self._hooks:
            hook.remove()
        self._profiler, self._hooks = None, []

    def _write(self, profiler: profile) -> None:
        if profiler.step_num < self.warmup + self.steps:  # stopped before it was complete
            return
        self.dirpath.mkdir(parents=True, exist_ok=True)
        profiler.export_chrome_trace(str(self.dirpath / "trace.json"))
        costs = costs_by_module(profiler.events() or [], self.steps)
        write_atomically(self.dirpath / "operators.md", tables(costs, self.rows))
        logger.info("profile: wrote trace.json and operators.md into %s", self.dirpath)


class Place(NamedTuple):
    """Where an operator was called: a module, and in which pass (`forward`, `backward`, `optimizer` or `other`)."""

    module: str
    of: str


class Cost(NamedTuple):
    """What an operator takes in one step, without those that it calls."""

    milliseconds: float
    calls: float


Costs = Mapping[tuple[Place, str], Cost]
"""By place and operator."""


def name_calls(task: L.LightningModule, depth: int) -> list[Any]:
    """Mark the calls of modules in a profile; returns the hooks, to be removed."""
    hooks: list[Any] = []
    for path, module in task.named_modules():
        name = path.removeprefix("model.")
        if path in ("", "model") or _level(name) > depth:
            continue
        open_ranges: list[Any] = []

        def begin(_: nn.Module, __: Any, name: str = name, ranges: list[Any] = open_ranges) -> None:
            ranges.append(record_function(MODULE + name))
            ranges[-1].__enter__()

        def end(_: nn.Module, __: Any, ___: Any, ranges: list[Any] = open_ranges) -> None:
            ranges.pop().__exit__(None, None, None)

        hooks += [module.register_forward_pre_hook(begin), module.register_forward_hook(end)]
    return hooks


def _level(path: str) -> float:
    """2 for `decoder.classifier` as for `decoder.levels.0`: a name, and the number of one in a list, are one level."""
    numbered = [part.isdigit() for part in path.split(".")]
    below = any(one and other for one, other in pairwise(numbered))
    return math.inf if below else numbered.count(False)


def costs_by_module(events: Iterable[Any], steps: int) -> Costs:
    """What each operator takes in each place.

    An operator of the backward pass belongs to the module whose operator it is the gradient of: both have the same
    number in the profile.

    Args:
        events: of `torch.profiler`.
        steps: that they are of.
    """
    events = [event for event in events if event.device_type.name == "CPU"]  # GPUs' times are theirs as well
    modules = {event.sequence_nr: _enclosing(event, MODULE) for event in reversed(events) if event.sequence_nr >= 0}
    on_gpu = any(event.self_device_time_total for event in events)
    found: dict[tuple[Place, str], list[float]] = defaultdict(lambda: [0.0, 0])
    for event in events:
        if event.name.startswith((MODULE, "ProfilerStep", OF_BACKWARD)) or event.is_user_annotation:
            continue
        microseconds = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        entry = found[_place(event, modules), event.name]
        entry[0] += microseconds / 1000
        entry[1] += 1
    return {key: Cost(time / steps, calls / steps) for key, (time, calls) in found.items()}


def _place(event: Any, modules: Mapping[int, str]) -> Place:
    if module := _enclosing(event, MODULE):
        return Place(module, "forward")
    ancestor = event
    while ancestor is not None:
        if ancestor.name.startswith(OF_BACKWARD):
            return Place(modules.get(ancestor.sequence_nr, ""), "backward")
        if ancestor.name.startswith(OF_OPTIMIZER):
            return Place("", "optimizer")
        ancestor = ancestor.cpu_parent
    return Place("", "other")


def _enclosing(event: Any, prefix: str) -> str:
    """The name of the innermost range of a kind that an event lies in; empty where there is none."""
    while event is not None and not event.name.startswith(prefix):
        event = event.cpu_parent
    return "" if event is None else str(event.name).removeprefix(prefix)


def tables(costs: Costs, rows: int) -> str:
    """The modules, and the operators in them, the costliest first."""
    total = sum(cost.milliseconds for cost in costs.values()) or 1.0
    by_place: dict[Place, float] = defaultdict(float)
    for (place, _), cost in costs.items():
        by_place[place] += cost.milliseconds
    lines = ["| module | pass | ms a step | share |", "|---|---|---:|---:|"]
    for place, time in sorted(by_place.items(), key=lambda item: -item[1]):
        lines.append(f"| {place.module} | {place.of} | {time:.1f} | {time / total:.1%} |")
    lines += ["", "| module | pass | operator | calls a step | ms a step | share |", "|---|---|---|---:|---:|---:|"]
    for (place, operator), cost in sorted(costs.items(), key=lambda item: -item[1].milliseconds)[:rows]:
        lines.append(
            f"| {place.module} | {place.of} | {operator} | {cost.calls:.0f} | {cost.milliseconds:.1f} "
            f"| {cost.milliseconds / total:.1%} |"
        )
    return "\n".join([*lines, ""])
