"""Backbones as a stem and four stages at strides 4, 8, 16, 32.

Shape letters: B batch, H W image, `Hi Wi Ci` stage i.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def pad_to_multiple(image_BCHW: Tensor, multiple: int) -> Tensor:
    """Zeros at the right and bottom, the least that makes both sides multiples of `multiple`."""
    height, width = image_BCHW.shape[-2:]
    return F.pad(image_BCHW, (0, -width % multiple, 0, -height % multiple))


class SwinBackbone(nn.Module):
    """timm's Swin transformer (Liu et al., ICCV 2021) with a stage loop of our own, for any image size.

    Args:
        name: a timm Swin, as `swin_tiny_patch4_window7_224`.
        pretrained: whether timm fetches weights (network or its cache); never by default.
        drop_path: stochastic depth of the last block, rising linearly from 0.

    Raises:
        ValueError: if timm has no such Swin.
    """

    def __init__(self, *, name: str, pretrained: bool = False, drop_path: float = 0.0) -> None:
        super().__init__()
        known = timm.list_models("swin_*")
        if name.split(".")[0] not in known:
            raise ValueError(f"model.backbone.name: timm has no Swin {name!r}; known: {', '.join(known)}")
        swin: Any = timm.create_model(
            name,
            pretrained=pretrained,
            num_classes=0,
            drop_path_rate=drop_path,
            always_partition=True,
            strict_img_size=False,
        )
        self.channels: list[int] = [info["num_chs"] for info in swin.feature_info]
        self.strides: list[int] = [info["reduction"] for info in swin.feature_info]
        self.patch_embed: nn.Module = swin.patch_embed
        self.layers: nn.ModuleList = nn.ModuleList(swin.layers)

    def stem(self, image_BCHW: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, C0, ceil(H/4), ceil(W/4)), before the first stage."""
        return self.patch_embed(pad_to_multiple(image_BCHW, 4)).permute(0, 3, 1, 2)

    @property
    def stages(self) -> Sequence[ChannelsFirst]:
        """The four stages, (B, C, H, W) -> (B, Ci, Hi, Wi)."""
        return [ChannelsFirst(layer) for layer in self.layers]


class ChannelsFirst:
    """Calls a channels-last module with a channels-first map; two views, no copy."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def __call__(self, features_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, Ci, Hi, Wi)."""
        return self.module(features_BCHW.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class SmallConvNet(nn.Module):
    """A small residual network (He et al., 2016) that trains from scratch on a CPU.

    Dense 3x3 convolutions throughout: on CPUs their backward pass is far cheaper, per multiply-add,
    than that of depthwise ones.

    Args:
        channels: Ci of the four stages.
        depths: residual blocks of the four stages.

    Raises:
        ValueError: if `channels` and `depths` are not equally many.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int] = (32, 64, 128, 192),
        depths: Sequence[int] = (1, 2, 2, 1),
    ) -> None:
        super().__init__()
        if len(channels) != len(depths):
            raise ValueError(
                f"model.backbone: {len(channels)} channels {list(channels)} but {len(depths)} depths {list(depths)}; "
                "expected one of each a stage"
            )
        self.channels = list(channels)
        self.strides = [4, 8, 16, 32]
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
