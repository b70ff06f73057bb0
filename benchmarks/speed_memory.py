"""The memory of a training step in one way.

    python benchmarks/speed_memory.py ENCODER MODEL BACKBONE SIZE WAY [KEY=VALUE ...]

A program of its own, which prints JSON: bytes at most above what the process has once the model is built, and the
seconds of its second step.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from pathlib import Path
from typing import Any

from speed_case import BATCH, TOKENS, WAYS, Case, training_step

from sbanet.console import console
from sbanet.training.host_memory import keep_freed_memory

STEPS = 2
"""At the least: in the second one the optimiser's numbers are there from the beginning."""


def measure(case: Case, way: str, *, batch: int = BATCH, tokens: int = TOKENS, steps: int = STEPS) -> dict[str, Any]:
    """Bytes, and seconds of each step after the first."""
    keep_freed_memory(WAYS[way].keeps_memory)
    built = case.build(WAYS[way])
    inputs = case.batch(batch, tokens, channels_last=built.cfg.model.channels_last)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, seconds = memory("VmRSS"), []
    for _ in range(steps):
        began = time.perf_counter()
        training_step(built, WAYS[way], inputs)
        seconds.append(time.perf_counter() - began)
    return {"bytes": memory("VmHWM") - before, "built_bytes": before, "seconds": seconds[1:]}


def memory(what: str) -> int:
    """Bytes of this process, as the kernel counts them."""
    found = re.search(rf"{what}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None, what
    return int(found[1]) * 1024


def main(encoder: str, model: str, backbone: str, size: str, way: str, *options: str) -> None:
    """Measure, and print; `batch=`, `tokens=` and `steps=` are arguments of `measure`, other options of the config."""
    logging.disable(logging.WARNING)
    pairs = (option.partition("=") for option in options)
    numbers = {key: int(value) for key, _, value in pairs if key in ("batch", "tokens", "steps")}
    more = tuple(option for option in options if option.partition("=")[0] not in numbers)
    console().print_json(json.dumps(measure(Case(model, backbone, int(size), Path(encoder), more), way, **numbers)))


if __name__ == "__main__":
    main(*sys.argv[1:])
