"""What of the machine a job gets that runs beside others."""

from __future__ import annotations

import os
from collections.abc import Sequence


def share(slot: int, parallel: int, *, processes: int, devices: Sequence[str]) -> dict[str, str]:
    """The environment variables that give a job its part of the threads and the GPUs.

    Args:
        slot: the job's place among those that run side by side, from 0.
        parallel: the number of places; with one, a job has the machine.
        processes: the job's ranks.
        devices: the GPUs as `CUDA_VISIBLE_DEVICES` names them; those that do not divide evenly stay idle.

    Returns:
        Variables to set; what the user has set for all (`OMP_NUM_THREADS`) stays.
    """
    if parallel == 1:
        return {}
    variables = {}
    if "OMP_NUM_THREADS" not in os.environ:
        variables["OMP_NUM_THREADS"] = str(max(1, cores() // (parallel * processes)))
    if count := len(devices) // parallel:
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(devices[slot * count : (slot + 1) * count])
    return variables


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """The GPUs of this process, as `CUDA_VISIBLE_DEVICES` names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]
