"""The least padding that lets a strided layer see every pixel."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def pad_to_multiple(features_BCHW: Tensor, multiple: int) -> Tensor:
    """Zeros at the right and bottom, the least that makes both sides multiples of `multiple`."""
    height, width = features_BCHW.shape[-2:]
    if height % multiple == 0 and width % multiple == 0:
        return features_BCHW
    return F.pad(features_BCHW, (0, -width % multiple, 0, -height % multiple))
