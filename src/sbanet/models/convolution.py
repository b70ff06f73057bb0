"""3x3 convolutions that keep the size, with a backward pass as fast as their forward one on any CPU.

Shape letters: B batch, H W map, I inputs, O outputs.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.grad import conv2d_input

from sbanet.models.linear import linear
from sbanet.models.resize import interpolation_under_taps

KERNEL = 3

KERNEL_IS_SLOW = torch.backends.cpu.get_cpu_capability() != "AVX512"
"""Whether this CPU's convolution has a gradient of the weight that is a quarter as fast as products, in float32."""


class Convolution3x3(nn.Conv2d):
    """A 3x3 convolution that keeps the size, without bias; see `convolve_3x3`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, KERNEL, padding=KERNEL // 2, bias=False)

    def forward(self, features_BIHW: Tensor) -> Tensor:
        """(B, I, H, W) -> (B, O, H, W)."""
        return convolve_3x3(features_BIHW, self.weight)


def convolve_3x3(features_BIHW: Tensor, weight_OIhw: Tensor) -> Tensor:
    """`F.conv2d(..., padding=1)`; where CPUs are slow, the gradient of the weight is matrix products.

    That is without AVX-512, in channels-last memory in float32.
    """
    product_is_faster = (
        KERNEL_IS_SLOW
        and features_BIHW.device.type == "cpu"
        and features_BIHW.itemsize >= 4
        and not torch.is_autocast_enabled("cpu")
        and features_BIHW.is_contiguous(memory_format=torch.channels_last)
    )
    if not product_is_faster:
        return F.conv2d(features_BIHW, weight_OIhw, padding=KERNEL // 2)
    convolved: Tensor = _Convolution.apply(features_BIHW, weight_OIhw)
    return convolved


def convolve_resized(
    features_BIhw: Tensor, weight_OIyx: Tensor, size: tuple[int, int], *, align_corners: bool
) -> Tensor:
    """`convolve_3x3(resize_bilinear(features, size), weight)`, with the products of channels at the smaller size.

    Resizing treats all channels alike, so that channels may be mixed before: once for each tap, on a quarter of the
    pixels where the map doubles. What the taps then see is put together as the resizing and their places say.

    Returns:
        (B, O, H, W), channels last in memory.
    """
    (height, width), outputs = features_BIhw.shape[-2:], len(weight_OIyx)
    mixed = linear(features_BIhw.permute(0, 2, 3, 1), weight_OIyx.permute(3, 2, 0, 1).flatten(0, 2))  # B h w (x y O)
    kind = (KERNEL, align_corners, mixed.dtype, mixed.device)
    columns = interpolation_under_taps(width, size[1], *kind)
    rows = interpolation_under_taps(height, size[0], *kind)
    wide = columns @ mixed.view(-1, height, width * KERNEL, KERNEL * outputs)  # B h W (y O)
    wide = wide.unflatten(-1, (KERNEL, outputs)).transpose(2, 3).flatten(3)  # B h y (W O)
    return (rows @ wide.flatten(1, 2)).unflatten(-1, (size[1], outputs)).permute(0, 3, 1, 2)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features_BIHW: Tensor, weight_OIhw: Tensor) -> Tensor:
        ctx.save_for_backward(features_BIHW, weight_OIhw)
        return F.conv2d(features_BIHW, weight_OIhw, padding=KERNEL // 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_BOHW: Tensor) -> tuple[Tensor | None, Tensor | None]:
        features_BIHW, weight_OIhw = ctx.saved_tensors
        of_features = of_weight = None
        if ctx.needs_input_grad[0]:
            of_features = conv2d_input(features_BIHW.shape, weight_OIhw, gradient_BOHW, padding=KERNEL // 2)
        if ctx.needs_input_grad[1]:
            of_weight = weight_gradient(features_BIHW, gradient_BOHW)
        return of_features, of_weight


def weight_gradient(features_BIHW: Tensor, gradient_BOHW: Tensor) -> Tensor:
    """(O, I, 3, 3): for each tap, what the outputs' gradients make of the inputs that lie under it.

    With zeros around every map, the inputs of a tap are all pixels from one on, and nothing has to be copied for it.
    """
    beside = KERNEL // 2
    inputs_BHWI = F.pad(features_BIHW.permute(0, 2, 3, 1), (0, 0, beside, beside, beside, beside))
    outputs_BHWO = F.pad(gradient_BOHW.permute(0, 2, 3, 1), (0, 0, 0, 2 * beside, 0, 2 * beside))
    inputs_NI, outputs_NO = inputs_BHWI.flatten(0, 2), outputs_BHWO.flatten(0, 2)
    width = inputs_BHWI.shape[2]
    offsets = [row * width + column for row in range(KERNEL) for column in range(KERNEL)]
    count = len(inputs_NI) - offsets[-1]
    outputs_ON = outputs_NO[:count].t()
    taps = torch.stack([outputs_ON @ inputs_NI[offset : offset + count] for offset in offsets], dim=-1)
    return taps.unflatten(-1, (KERNEL, KERNEL))
