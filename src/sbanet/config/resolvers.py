"""What a config can say beyond values: the resolvers of the project, known wherever a config is composed."""

from __future__ import annotations

import os
from typing import Any

from omegaconf import ListConfig, OmegaConf

BFLOAT16_INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "bf16")
"""What torch calls a processor's instructions for bfloat16 products, on Intel, AMD and ARM."""

COARSEST_STRIDE = 32
"""Pixels of the image a cell of the last stage's map, along each side."""


def fast_precision(accelerator: str) -> str:
    """Lightning's name of the fastest precision that trains as well as float32.

    Args:
        accelerator: Lightning's argument; `auto` is taken for a CPU where torch sees no GPU.

    Returns:
        `bf16-mixed` on a GPU, and on a CPU with instructions for it; elsewhere `32-true`, since a CPU that
        emulates bfloat16 is slower by orders of magnitude.
    """
    return "bf16-mixed" if on_gpu(accelerator) or multiplies_bfloat16() else "32-true"


def on_gpu(accelerator: str) -> bool:
    """Whether Lightning's accelerator of that name is no CPU; `auto` is the GPU where torch sees one."""
    if accelerator != "auto":
        return accelerator != "cpu"
    import torch  # not by every command that composes a config

    return torch.cuda.is_available()


def multiplies_bfloat16() -> bool:
    """Whether this processor has instructions for products of bfloat16."""
    import torch

    known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(known.get(instruction, False) for instruction in BFLOAT16_INSTRUCTIONS)


def coarsest_grid(image_size: int) -> ListConfig:
    """Height and width of the coarsest map of a square image, in cells of 32 pixels."""
    return ListConfig([-(-image_size // COARSEST_STRIDE)] * 2)


def gpus_per_node(accelerator: str, devices: Any) -> int | None:
    """What a job asks a cluster for; `auto` is a GPU there, though the login node may have none.

    Args:
        accelerator: Lightning's argument.
        devices: a node's ranks.

    Returns:
        None where it computes on processors.
    """
    return None if accelerator == "cpu" or not isinstance(devices, int) else devices


def of_first_rank(value: str) -> str | None:
    """A value for the first of a run's ranks, None for those beside it that torchrun or srun started."""
    rank = os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0"))
    return value if rank == "0" else None


def register_resolvers() -> None:
    """Make `${fast_precision:cpu}`, `${on_gpu:cpu}`, `${coarsest_grid:480}` and so on known to OmegaConf."""
    for resolver in (fast_precision, on_gpu, coarsest_grid, gpus_per_node, of_first_rank):
        OmegaConf.register_new_resolver(resolver.__name__, resolver, replace=True)
