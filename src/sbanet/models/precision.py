"""Numbers that must keep their precision whatever the autocast."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def without_autocast(tensor: Tensor) -> AbstractContextManager:
    """A block in which nothing on the tensor's device is cast; some devices, as meta, know no autocast."""
    device = tensor.device.type
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()


def at_least_float32(tensor: Tensor) -> Tensor:
    """The tensor, half precision widened to float32."""
    return tensor.float() if tensor.itemsize < 4 else tensor
