"""Learning-rate schedules as factors of the optimiser step."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def poly(optimizer: Optimizer, *, total_steps: int, warmup_steps: int = 0, power: float = 0.9) -> LambdaLR:
    """`(1 - t / total)^power` after a linear warm-up; LAVT's schedule with `power=0.9` and no warm-up.

    Args:
        optimizer: whose learning rates are scaled.
        total_steps: optimiser steps of the run; the factor reaches 0 behind the last.
        warmup_steps: steps of the linear rise.
        power: exponent.
    """

    def factor(step: int) -> float:
        return _warmup(step, warmup_steps) * max(0.0, 1 - step / total_steps) ** power

    return LambdaLR(optimizer, factor)


def cosine(optimizer: Optimizer, *, total_steps: int, warmup_steps: int = 0, floor: float = 0.0) -> LambdaLR:
    """Half a cosine from 1 to `floor` after a linear warm-up (Loshchilov and Hutter, 2017).

    Args:
        optimizer: whose learning rates are scaled.
        total_steps: optimiser steps of the run.
        warmup_steps: steps of the linear rise.
        floor: the factor at the end.
    """

    def factor(step: int) -> float:
        progress = min(1.0, max(0, step - warmup_steps) / max(1, total_steps - warmup_steps))
        return _warmup(step, warmup_steps) * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress)))

    return LambdaLR(optimizer, factor)


def _warmup(step: int, warmup_steps: int) -> float:
    return min(1.0, (step + 1) / (warmup_steps + 1))
