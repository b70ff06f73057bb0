"""Linear layers by the fastest products that a processor's libraries have.

Shape letters: B images, P pixels of an image, I inputs, O outputs; `...` anything.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FastLinear(nn.Linear):
    """A linear layer that is computed as a 1x1 convolution where that is faster: the same weights and function."""

    def forward(self, features: Tensor) -> Tensor:
        """(..., I) -> (..., O)."""
        return linear(features, self.weight, self.bias)


def use_fast_linear(model: nn.Module) -> None:
    """Let every linear layer in a model be a `FastLinear`; those of other classes have their own ways."""
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = FastLinear


def linear(features: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
    """`F.linear`, (..., I) -> (..., O), as a 1x1 convolution where that is faster."""
    rows = features.shape[:-1].numel()
    images = IMAGES if rows % IMAGES == 0 else 1
    if not _convolution_is_faster(features, rows, images):
        return F.linear(features, weight_OI, bias_O)
    pixels_BIP1 = features.reshape(images, rows // images, 1, -1).permute(0, 3, 1, 2)
    mixed_BOP1 = F.conv2d(pixels_BIP1, weight_OI[:, :, None, None], bias_O)
    return mixed_BOP1.permute(0, 2, 3, 1).reshape(*features.shape[:-1], len(weight_OI))


def _convolution_is_faster(features: Tensor, rows: int, images: int) -> bool:
    if not PRODUCTS_ARE_SLOW or features.device.type != "cpu":
        return False
    if (torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else features.dtype) == torch.bfloat16:
        return not torch.is_grad_enabled() and rows >= MANY_ROWS
    return (
        features.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and features.numel() >= MANY_NUMBERS
        and (images == IMAGES or torch.get_num_threads() > 1)
    )


IMAGES = 16
"""Rows are dealt out to so many images, from which on torch leaves 1x1 convolutions to oneDNN with any threads."""

MANY_NUMBERS = 20481
"""From here on, torch leaves a convolution in float32 to oneDNN; smaller ones are products of MKL's again."""

MANY_ROWS = 1024
"""From here on, convolutions in bfloat16 take 0.8 to 1 times a product's time; their gradients take longer."""


def products_are_slow() -> bool:
    """Whether torch's float32 matrix products leave this processor's AVX-512 unused: MKL's on AMD; oneDNN uses it.

    Products in bfloat16 are oneDNN's as well, but its convolutions are faster there.
    """
    known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    has_both = torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()
    return has_both and "AMD" in str(known.get("cpu_name", "")) and bool(known.get("avx512_f"))


PRODUCTS_ARE_SLOW = products_are_slow()
