"""RMSIN's cross-scale interaction: the scales meet on the coarsest grid, attend to each other and are told apart.

Shape letters: B batch, `Hi Wi Ci` stage i, Gh Gw the coarsest grid, S sum of all Ci, C = S/4 channels on the grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sbanet.models.aggregators.cross_scale_attention import CrossScaleAttention, Layout
from sbanet.models.nodes import Words
from sbanet.models.resize import map_size, resize_bilinear, resize_to_grid

REDUCTION = 4
RELEASED_GRID = (15, 15)


class CrossScaleInteraction(nn.Module):
    """Pool all scales to the coarsest grid, let them interact there, and let each scale take its part back by a gate.

    Made for one size of image, since the attention's positions are mixed by a matrix: `grid` must be that of the
    coarsest map. The words are not read.

    Source: RMSIN (Liu et al., "Rotated Multi-Scale Interaction Network for Referring Remote Sensing Image
    Segmentation", CVPR 2024).

    Args:
        channels: Ci of the four stages, multiples of 4.
        width: the text width, unused.
        grid: (Gh, Gw), the coarsest map's height and width: the image's divided by 32, rounded up.
        layout: how the attention's numbers become rows of channels: `intended`, one row a channel, or `released`, as
            in the official code, whose weights need it: rows cut across channels. That exists for images of 480 px.
        heads: attention heads.
        key_width: of a head's queries and keys.
        value_width: of a head's values.

    Raises:
        ValueError: if `layout` is unknown or not defined for the grid, the grid is none, or a stage's channels are
            no multiple of 4.
    """

    reads_words = False

    def __init__(
        self,
        *,
        channels: Sequence[int],
        width: int,
        grid: Sequence[int] = RELEASED_GRID,
        layout: Layout = "released",
        heads: int = 8,
        key_width: int = 32,
        value_width: int = 64,
    ) -> None:
        super().__init__()
        self.grid = checked_grid(grid, layout)
        self.layout = layout
        if any(count % REDUCTION for count in channels):
            raise ValueError(
                f"model.aggregator: the backbone's channels {list(channels)} are not all multiples of {REDUCTION}, "
                "as cross-scale interaction needs; choose another model/aggregator or model/backbone"
            )
        self.channels = list(channels)
        reduced = [count // REDUCTION for count in channels]
        self.reduce = nn.Conv2d(sum(channels), sum(reduced), 1)
        self.first_attention, self.second_attention = (
            CrossScaleAttention(
                sum(reduced), self.grid, heads=heads, key_width=key_width, value_width=value_width, layout=layout
            )
            for _ in range(2)
        )
        self.scale_feed_forwards = nn.ModuleList(ConvolutionalFeedForward(count) for count in reduced)
        self.feed_forward = ConvolutionalFeedForward(sum(reduced))
        self.norm = nn.BatchNorm2d(sum(reduced))
        self.restore = nn.Conv2d(sum(reduced), sum(channels), 1)
        self.gates = nn.ModuleList(ScaleAwareGate(count) for count in channels)

    def forward(self, fused: list[Tensor], words: Words) -> list[Tensor]:
        """The four maps (B, Ci, Hi, Wi) -> four maps of the same shapes.

        Raises:
            ValueError: if the coarsest map is not of the size that the module is made for.
        """
        self._require_grid(fused[-1])
        pooled = torch.cat([resize_to_grid(scale, self.grid) for scale in fused], dim=1)
        interacted = self.restore(self.norm(self._interact(self.reduce(pooled))))
        parts = interacted.split(self.channels, dim=1)
        return [gate(scale, part) for gate, scale, part in zip(self.gates, fused, parts, strict=True)]

    def _interact(self, features: Tensor) -> Tensor:
        """(B, C, Gh, Gw) -> the same: between the scales, within each, between them again, all together."""
        features = features + self.first_attention(features)
        scales = features.split([scale.channels for scale in self.scale_feed_forwards], dim=1)
        within = [feed_forward(scale) for feed_forward, scale in zip(self.scale_feed_forwards, scales, strict=True)]
        # as released: each scale's part is residual in itself and once more as a whole
        features = 2 * features + torch.cat(within, dim=1)
        features = features + self.second_attention(features)
        return features + self.feed_forward(features)

    def _require_grid(self, coarsest: Tensor) -> None:
        height, width = map_size(coarsest)
        if (height, width) == self.grid:
            return
        needed = f"model.aggregator.grid=[{height},{width}]"
        if self.layout == "released":
            needed += " model.aggregator.layout=intended"
        raise ValueError(
            f"model.aggregator.grid is {list(self.grid)} (height, width), but the coarsest map is [{height}, {width}]; "
            f"cross-scale interaction is made for one size of image: set {needed} or resize the images"
        )


class ConvolutionalFeedForward(nn.Module):
    """BatchNorm, 1x1 convolution to twice the width, BatchNorm, grouped 3x3 convolution, ReLU6, 1x1 convolution back.

    Args:
        channels: its width; in the 3x3 convolution they are groups of two inputs and two outputs each.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.norm = nn.BatchNorm2d(channels)
        self.widen = nn.Conv2d(channels, 2 * channels, 1)
        self.wide_norm = nn.BatchNorm2d(2 * channels)
        self.filter = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=channels)
        self.narrow = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, Gh, Gw) -> the same; without the residual."""
        return self.narrow(F.relu6(self.filter(self.wide_norm(self.widen(self.norm(features))))))


class ScaleAwareGate(nn.Module):
    """`local(f) * up(hardsigmoid(weight(g))) + up(context(g))`, f a scale's own map, g its part of the interaction.

    Args:
        channels: Ci.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.local = projection(channels)
        self.context = projection(channels)
        self.importance = projection(channels)

    def forward(self, scale: Tensor, part: Tensor) -> Tensor:
        """(B, Ci, Hi, Wi) and (B, Ci, Gh, Gw) -> (B, Ci, Hi, Wi)."""
        size = map_size(scale)
        importance = resize_bilinear(F.hardsigmoid(self.importance(part)), size)
        return self.local(scale) * importance + resize_bilinear(self.context(part), size)


def projection(channels: int) -> nn.Sequential:
    """A 1x1 convolution and BatchNorm."""
    return nn.Sequential(nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels))


def checked_grid(grid: Sequence[int], layout: str) -> tuple[int, int]:
    """The grid as (Gh, Gw), if the layout is defined on it.

    Raises:
        ValueError: if it is not, or either is none.
    """
    if layout not in get_args(Layout):
        raise ValueError(f"model.aggregator.layout: unknown {layout!r}; known: {', '.join(get_args(Layout))}")
    if len(grid) != 2 or any(side < 1 for side in grid):
        raise ValueError(f"model.aggregator.grid: got {list(grid)}, expected [height, width], both 1 or more")
    height, width = grid
    if layout == "released" and (height, width) != RELEASED_GRID:
        raise ValueError(
            f"model.aggregator.layout=released exists for model.aggregator.grid={list(RELEASED_GRID)} (images of "
            f"480 px) alone, got {list(grid)}; set model.aggregator.layout=intended"
        )
    return height, width
