"""RMSIN's decoder: its kernels turn with what they look at, since things seen from above lie at any angle.

Shape letters: B batch, `Hi Wi Ci` stage i, H W a level's map, h hidden width, n kernels, I inputs, O outputs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sbanet.models.convolution import convolve_3x3
from sbanet.models.decoders.topdown import PyramidDecoder
from sbanet.models.nodes import ChannelLayerNorm
from sbanet.models.precision import at_least_float32, without_autocast

TAPS = 9
"""Of a 3x3 kernel, row by row."""


class RotatedDecoder(PyramidDecoder):
    """The pyramid decoder, the second convolution of each level an adaptive rotated one.

    Source: RMSIN (Liu et al., "Rotated Multi-Scale Interaction Network for Referring Remote Sensing Image
    Segmentation", CVPR 2024).

    Args:
        channels: Ci of the four stages.
        hidden: h, the width of the convolutions; half of the last stage's channels when None, as in RMSIN.
        num_outputs: 1 = one logit a pixel (positive = referred); 2 = background and referent.
        align_corners: of the bilinear upsampling (True in RMSIN).
        mix_early: see `PyramidDecoder`.
        num_kernels: n, the kernels that are turned, weighed and summed.
        max_angle: the angles' bound, degrees.
        dropout: on the description of the map from which angles and weights follow.

    Raises:
        ValueError: if `num_outputs` is neither 1 nor 2, or `num_kernels` or `max_angle` is out of range.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int],
        hidden: int | None = None,
        num_outputs: int = 1,
        align_corners: bool = False,
        mix_early: bool = True,
        num_kernels: int = 1,
        max_angle: float = 40.0,
        dropout: float = 0.2,
    ) -> None:
        if num_kernels < 1:
            raise ValueError(f"model.decoder.num_kernels: got {num_kernels}, expected 1 or more")
        if not 0 < max_angle <= 180:
            raise ValueError(f"model.decoder.max_angle: got {max_angle} degrees, expected above 0 and up to 180")
        super().__init__(
            channels=channels,
            hidden=hidden,
            num_outputs=num_outputs,
            align_corners=align_corners,
            mix_early=mix_early,
            second_convolution=partial(
                AdaptiveRotatedConv, num_kernels=num_kernels, max_angle=max_angle, dropout=dropout
            ),
        )


class AdaptiveRotatedConv(nn.Module):
    """A 3x3 convolution whose kernel is turned and scaled anew for every sample: `sum_n lambda_n Rot(K_n, theta_n)`.

    Args:
        channels: of its inputs and outputs.
        num_kernels: n.
        max_angle: bound of theta, degrees.
        dropout: of the routing.

    Attributes:
        weight: (n * O, I, 3, 3), the kernels one after the other: memory formats are for four dimensions.
    """

    def __init__(self, channels: int, *, num_kernels: int, max_angle: float, dropout: float) -> None:
        super().__init__()
        self.num_kernels = num_kernels
        self.weight = nn.Parameter(torch.empty(num_kernels * channels, channels, 3, 3))
        self.routing = RotationRouting(channels, num_kernels, max_angle, dropout)
        nn.init.normal_(self.weight, std=math.sqrt(2 / (TAPS * channels)))

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        kernels_BOIhw = self._kernels(*self.routing(features_BCHW)).to(features_BCHW.dtype)
        if features_BCHW.device.type == "cpu":
            samples = zip(features_BCHW.split(1), kernels_BOIhw, strict=True)
            return torch.cat([convolve_3x3(sample, kernel) for sample, kernel in samples])
        # every sample is a group of one convolution, for which GPUs are started once
        stacked = features_BCHW.reshape(1, -1, *features_BCHW.shape[2:])
        convolved = F.conv2d(stacked, kernels_BOIhw.flatten(0, 1), padding=1, groups=len(features_BCHW))
        return convolved.reshape(features_BCHW.shape)

    def _kernels(self, scales_Bn: Tensor, angles_Bn: Tensor) -> Tensor:
        """Each sample's kernel, (B, O, I, 3, 3), in float32 at least."""
        with without_autocast(self.weight):
            turns_Bnpq = scales_Bn[..., None, None] * rotation(angles_Bn)
            weight_nOIq = at_least_float32(self.weight).unflatten(0, (self.num_kernels, -1)).flatten(3)
            return torch.einsum("bnpq,noiq->boip", turns_Bnpq, weight_nOIq).unflatten(3, (3, 3))


class RotationRouting(nn.Module):
    """What turns the kernels: a weight and an angle for each, read off the map as a whole.

    Args:
        channels: C of the map.
        num_kernels: n.
        max_angle: bound of the angles, degrees.
        dropout: on the pooled map, drawn once for the weights and once for the angles.
    """

    def __init__(self, channels: int, num_kernels: int, max_angle: float, dropout: float) -> None:
        super().__init__()
        self.max_angle = math.radians(max_angle)
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.norm = ChannelLayerNorm(channels)
        self.dropout = nn.Dropout(dropout)
        self.scale = nn.Linear(channels, num_kernels)
        self.angle = nn.Linear(channels, num_kernels, bias=False)
        for layer in (self.depthwise, self.scale, self.angle):
            nn.init.normal_(layer.weight, std=0.02)

    def forward(self, features_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) -> weights in (0, 1) and angles in radians, both (B, n), in float32 at least."""
        described = F.relu(self.norm(self.depthwise(features_BCHW)))
        with without_autocast(described):  # a bfloat16 angle would be off by up to a tenth of a degree
            pooled_BC = at_least_float32(described).mean((2, 3)).to(self.angle.weight.dtype)
            scales_Bn = torch.sigmoid(at_least_float32(self.scale(self.dropout(pooled_BC))))
            turns_Bn = F.softsign(at_least_float32(self.angle(self.dropout(pooled_BC))))
        return scales_Bn, self.max_angle * turns_Bn


def rotation(angles: Tensor) -> Tensor:
    """The linear map that turns a 3x3 kernel about its centre, counter-clockwise for positive angles.

    Each new tap reads the kernel bilinearly where the turned grid meets it; outside, the border's value goes on.

    Args:
        angles: (...), radians.

    Returns:
        (..., 9, 9): new taps from old ones, both row by row.
    """
    offsets = torch.arange(-1, 2, device=angles.device, dtype=angles.dtype)
    row, column = offsets.repeat_interleave(3), offsets.repeat(3)
    cosine, sine = angles.cos()[..., None], angles.sin()[..., None]
    from_column = (column * cosine - row * sine).clamp(-1, 1)[..., None]
    from_row = (column * sine + row * cosine).clamp(-1, 1)[..., None]
    return _overlap(from_column - column) * _overlap(from_row - row)


def _overlap(distance: Tensor) -> Tensor:
    """The weight that linear interpolation gives to a tap at this distance."""
    return (1 - distance.abs()).clamp(min=0)
