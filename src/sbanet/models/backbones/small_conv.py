"""A small residual network that trains from scratch on a CPU.

Shape letters: B batch, H W image, `Hi Wi Ci` stage i.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from sbanet.models.backbones.padding import pad_to_multiple
from sbanet.models.weights import IMAGENET_MEAN, IMAGENET_STD


class SmallConvNet(nn.Module):
    """A small residual network (He et al., 2016) that trains from scratch on a CPU.

    Dense 3x3 convolutions throughout: on CPUs their backward pass is far cheaper, per multiply-add,
    than that of depthwise ones.

    Args:
        channels: Ci of the four stages.
        depths: residual blocks of the four stages.
        mean: what is subtracted from each channel of the image, on the scale 0 to 1.
        std: what each channel is then divided by.

    Raises:
        ValueError: if `channels` and `depths` are not equally many.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int] = (32, 64, 128, 192),
        depths: Sequence[int] = (1, 2, 2, 1),
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        if len(channels) != len(depths):
            raise ValueError(
                f"model.backbone: {len(channels)} channels {list(channels)} but {len(depths)} depths {list(depths)}; "
                "expected one of each a stage"
            )
        self.channels = list(channels)
        self.strides = [4, 8, 16, 32]
        self.mean, self.std = tuple(mean), tuple(std)
        self.patches = nn.PixelUnshuffle(4)
        self.embed = nn.Sequential(conv_norm(3 * 4 * 4, channels[0]), nn.ReLU())
        incoming = [channels[0], *channels[:-1]]
        self.stages = nn.ModuleList(
            nn.Sequential(
                *(
                    ResidualBlock(inputs if block == 0 else outputs, outputs, 2 if stage and block == 0 else 1)
                    for block in range(depth)
                )
            )
            for stage, (inputs, outputs, depth) in enumerate(zip(incoming, channels, depths, strict=True))
        )

    def stem(self, image_BCHW: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, C0, ceil(H/4), ceil(W/4)): patches of 4x4 pixels, seen three by three."""
        return self.embed(self.patches(pad_to_multiple(image_BCHW, 4)))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with BatchNorm, and a shortcut that is projected where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = conv_norm(inputs, outputs, stride=stride)
        self.second = conv_norm(outputs, outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = conv_norm(inputs, outputs, stride=stride, kernel=1)
        nn.init.zeros_(cast(nn.BatchNorm2d, self.second[1]).weight)

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, ceil(H/stride), ceil(W/stride))."""
        return torch.relu(self.second(torch.relu(self.first(features_BCHW))) + self.shortcut(features_BCHW))


def conv_norm(inputs: int, outputs: int, *, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    """A convolution without bias and its BatchNorm; sizes are ceil(size / stride)."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))
