"""The attention of RMSIN's aggregator: a map attends to itself at three resolutions.

Shape letters: B batch, C channels, Gh Gw grid, P = Gh*Gw positions, M tokens of all three resolutions,
E = heads * value width.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sbanet.models.attention import attend
from sbanet.models.nodes import pixels_last, pixels_to_map

Layout = Literal["released", "intended"]


class CrossScaleAttention(nn.Module):
    """Tokens of the map, of half and of a third of its size attend to each other; then positions are mixed.

    Positions are mixed by a learned matrix from M tokens to P positions, so that the module is made for one grid.

    Source: RMSIN (Liu et al., CVPR 2024).

    Args:
        channels: C.
        grid: (Gh, Gw).
        heads: attention heads.
        key_width: of a head's queries and keys.
        value_width: of a head's values.
        layout: how heads, tokens and widths become rows of channels; see `channel_rows`.
    """

    def __init__(
        self,
        channels: int,
        grid: tuple[int, int],
        *,
        heads: int,
        key_width: int,
        value_width: int,
        layout: Layout,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.heads = heads
        self.head_parts = (key_width, key_width, value_width)
        self.layout = layout
        positions = grid[0] * grid[1]
        inner = heads * value_width
        projected = heads * sum(self.head_parts)
        self.norm = nn.BatchNorm2d(channels)
        self.at_half = shrinking(channels, 2)
        self.at_third = shrinking(channels, 3)
        self.qkv = nn.Linear(channels, projected, bias=False)
        self.qkv_norm = nn.BatchNorm1d(projected)
        self.position_mix = nn.Linear(count_tokens(grid), positions)
        self.local = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.output = nn.Linear(inner, channels)
        self.output_norm = nn.BatchNorm2d(channels)
        self.output_projection = nn.Conv2d(channels, channels, 1)
        for layer in (self.qkv, self.position_mix, self.output):
            nn.init.normal_(layer.weight, std=0.02)
        for layer in (self.position_mix, self.output):
            nn.init.zeros_(layer.bias)

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """(B, C, Gh, Gw) -> (B, C, Gh, Gw)."""
        normed = self.norm(features_BCHW)
        tokens_BMC = torch.cat(
            [pixels_last(view) for view in (normed, self.at_half(normed), self.at_third(normed))], dim=1
        )
        query, key, value = self._project(tokens_BMC)
        mixed_BEP = self.position_mix(attended_rows(attend(query, key, value), self.layout))
        values_BEP = value_rows(value[:, :, : mixed_BEP.shape[2]], self.layout)
        local = self.local(F.hardswish(values_BEP.unflatten(2, self.grid)))
        output_BPC = self.output((mixed_BEP + local.flatten(2)).transpose(1, 2))
        output = pixels_to_map(output_BPC, self.grid)
        return self.output_projection(F.hardswish(self.output_norm(output)))

    def _project(self, tokens_BMC: Tensor) -> tuple[Tensor, ...]:
        """(B, M, C) -> queries, keys and values, (B, heads, M, width) each; their widths lie side by side per head."""
        projected = self.qkv_norm(self.qkv(tokens_BMC).flatten(0, 1)).unflatten(0, tokens_BMC.shape[:2])
        return projected.unflatten(2, (self.heads, -1)).transpose(1, 2).split(self.head_parts, dim=3)


def attended_rows(attended: Tensor, layout: Layout) -> Tensor:
    """What the M tokens attended to, (B, heads, M, width), as E rows of M: (B, E, M).

    `intended`: row (head, width) holds that number of every token. `released`: the numbers in the order
    (token, head, width) are cut into rows of length M, as the official code does.
    """
    ordered = attended.transpose(2, 3) if layout == "intended" else attended.transpose(1, 2)
    return ordered.reshape(len(attended), -1, attended.shape[2])


def value_rows(value: Tensor, layout: Layout) -> Tensor:
    """The values of the map's own P positions, (B, heads, P, width), as E rows of P: (B, E, P).

    `intended`: row (head, width) holds that number of every position. `released`: the numbers in the order
    (head, position, width) are cut into rows of length P, as the official code does.
    """
    ordered = value.transpose(2, 3) if layout == "intended" else value
    return ordered.reshape(len(value), -1, value.shape[2])


def shrinking(channels: int, factor: int) -> nn.Sequential:
    """A depthwise convolution that reads every `factor`-th place, and BatchNorm: (G) -> ceil(G / factor)."""
    kernel = 2 * factor - 1
    convolution = nn.Conv2d(channels, channels, kernel, stride=factor, padding=kernel // 2, groups=channels)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels))


def count_tokens(grid: tuple[int, int]) -> int:
    """M: the places of a map, of its half and of its third, sides rounded up."""
    return sum(-(-grid[0] // factor) * -(-grid[1] // factor) for factor in (1, 2, 3))
