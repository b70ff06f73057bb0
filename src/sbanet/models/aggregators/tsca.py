"""SBANet's text-conditioned channel and spatial aggregator: the scales exchange what they found.

This project's reading of Li, Vosselman, Yang (ISPRS J. 226, 2025); each choice is an argument.

Shape letters: B batch, `Hi Wi Ci` stage i, h width of a scale in the exchange, X = 4h channels, D text width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sbanet.models.nodes import Words
from sbanet.models.resize import map_size, resize_to_grid


class TextConditionedAggregator(nn.Module):
    """Bring all scales to one grid, weigh channels and places by the sentence, mix, and hand back.

    What comes back is added through a learned gate a channel that starts at 0: at first the identity.

    Args:
        channels: Ci of the four stages.
        width: D, the text width.
        hidden: h, the width of each scale in the exchange.
        grid_stage: the stage whose grid all scales are brought to.
        channel: whether channels are weighed.
        spatial: whether places are weighed.
        text_conditioned: whether the sentence takes part in the weighing.
        spatial_kernel: kernel of the spatial attention's convolution.
        reduction: by how much the channel attention's MLP narrows.
        groups: of the GroupNorms.

    Raises:
        ValueError: if `groups` does not divide `hidden`.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int],
        width: int,
        hidden: int = 64,
        grid_stage: int = 2,
        channel: bool = True,
        spatial: bool = True,
        text_conditioned: bool = True,
        spatial_kernel: int = 7,
        reduction: int = 4,
        groups: int = 8,
    ) -> None:
        super().__init__()
        if hidden % groups:
            raise ValueError(f"model.aggregator: groups={groups} does not divide hidden={hidden}")
        self.reads_words = text_conditioned and (channel or spatial)
        self.grid_stage = grid_stage
        mixed = hidden * len(channels)
        sentence_width = width if text_conditioned else 0
        self.project = nn.ModuleList(
            nn.Sequential(nn.Conv2d(count, hidden, 1), nn.GroupNorm(groups, hidden)) for count in channels
        )
        self.channel = ChannelAttention(mixed, sentence_width, reduction) if channel else None
        self.spatial = SpatialAttention(mixed, sentence_width, spatial_kernel) if spatial else None
        self.mix = nn.Sequential(
            nn.Conv2d(mixed, mixed, 1),
            nn.GroupNorm(groups, mixed),
            nn.GELU(),
            nn.Conv2d(mixed, mixed, 3, padding=1, groups=mixed),
        )
        self.restore = nn.ModuleList(nn.Conv2d(hidden, count, 1) for count in channels)
        self.gates = nn.ParameterList(nn.Parameter(torch.zeros(count, 1, 1)) for count in channels)

    def forward(self, fused: list[Tensor], words: Words) -> list[Tensor]:
        """The four maps (B, Ci, Hi, Wi) and the words -> four maps of the same shapes."""
        grid = map_size(fused[self.grid_stage])
        sentence_BD = words.sentence_BD()
        mixed = torch.cat(
            [project(resize_to_grid(scale, grid)) for project, scale in zip(self.project, fused, strict=True)],
            dim=1,
        )
        if self.channel is not None:
            mixed = self.channel(mixed, sentence_BD)
        if self.spatial is not None:
            mixed = self.spatial(mixed, sentence_BD)
        mixed = mixed + self.mix(mixed)
        parts = mixed.chunk(len(fused), dim=1)
        return [
            scale + gate.to(scale) * resize_to_grid(restore(part), map_size(scale))
            for scale, part, restore, gate in zip(fused, parts, self.restore, self.gates, strict=True)
        ]


class ChannelAttention(nn.Module):
    """`X * 2 sigmoid(MLP[mean X; max X; s])`; without text the sentence s is left out."""

    def __init__(self, channels: int, sentence_width: int, reduction: int) -> None:
        super().__init__()
        self.with_sentence = sentence_width > 0
        self.mlp = nn.Sequential(
            nn.Linear(2 * channels + sentence_width, channels // reduction),
            nn.GELU(),
            nn.Linear(channels // reduction, channels),
        )

    def forward(self, mixed: Tensor, sentence_BD: Tensor) -> Tensor:
        """(B, X, h, w) and the sentence (B, D) -> (B, X, h, w)."""
        facts = [mixed.mean((2, 3)), mixed.amax((2, 3))]
        if self.with_sentence:
            facts.append(sentence_BD)
        return mixed * (2 * torch.sigmoid(self.mlp(torch.cat(facts, dim=1))))[:, :, None, None]


class SpatialAttention(nn.Module):
    """`X * (1 + tanh(conv[mean_c X; max_c X; <X, W s>]))`; without text the agreement with s is left out."""

    def __init__(self, channels: int, sentence_width: int, kernel: int) -> None:
        super().__init__()
        self.sentence = nn.Linear(sentence_width, channels) if sentence_width else None
        self.score = nn.Conv2d(3 if sentence_width else 2, 1, kernel, padding=kernel // 2)

    def forward(self, mixed: Tensor, sentence_BD: Tensor) -> Tensor:
        """(B, X, h, w) and the sentence (B, D) -> (B, X, h, w)."""
        facts = [mixed.mean(1, keepdim=True), mixed.amax(1, keepdim=True)]
        if self.sentence is not None:
            direction = self.sentence(sentence_BD) * mixed.shape[1] ** -0.5
            facts.append(torch.einsum("bxhw,bx->bhw", mixed, direction).unsqueeze(1))
        return mixed * (1 + torch.tanh(self.score(torch.cat(facts, dim=1))))
