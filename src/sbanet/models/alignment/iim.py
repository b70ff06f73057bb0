"""RMSIN's intra-scale interaction: pixel-word attention beside a look at the map alone.

Shape letters: B batch, H W stage's map, N = H*W pixels, C channels of the stage, D text width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sbanet.models.alignment.gates import LanguageGate
from sbanet.models.alignment.pwam import OFFICIAL_GATE_STD, PixelWordAttention
from sbanet.models.nodes import pixels_last


class IntraScaleInteraction(PixelWordAttention):
    """Pixel-word attention, and a visual branch that weighs the places of the map; each writes through its gate.

    The next stage gets `x + g(r) r + g'(v) v`, with r the fused and v the weighed map; the aggregator gets r alone,
    normalised.

    Source: RMSIN (Liu et al., "Rotated Multi-Scale Interaction Network for Referring Remote Sensing Image
    Segmentation", CVPR 2024).

    Args:
        channels: C, the stage's channels.
        width: D, the text width.
        stage: the stage's number; of the last stage, gates and visual branch feed nothing and are frozen.
        heads: attention heads, of all stages or one number a stage.
        dropout: after both GELUs of the fusion.

    Raises:
        ValueError: if `channels` is no multiple of the heads, or their numbers are not one a stage.
    """

    def __init__(
        self, *, channels: int, width: int, stage: int, heads: int | Sequence[int] = 1, dropout: float = 0.0
    ) -> None:
        super().__init__(channels=channels, width=width, stage=stage, heads=heads, dropout=dropout)
        self.visual_branch = SpatialWeighing()
        self.visual_gate = LanguageGate(channels, std=OFFICIAL_GATE_STD)
        if self.is_last:
            self.visual_branch.requires_grad_(False)
            self.visual_gate.requires_grad_(False)

    def _update(self, visual: Tensor, fused_BNC: Tensor) -> Tensor:
        weighed_BNC = pixels_last(self.visual_branch(visual))
        return super()._update(visual, fused_BNC) + self.visual_gate(weighed_BNC)


class SpatialWeighing(nn.Module):
    """`x * sigmoid(second(ReLU(first(mean_c x))))`: how much each place counts, from several receptive fields."""

    def __init__(self) -> None:
        super().__init__()
        self.first = ReceptiveFields()
        self.second = ReceptiveFields()

    def forward(self, visual: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        mean_B1HW = visual.mean(1, keepdim=True)
        return visual * torch.sigmoid(self.second(torch.relu(self.first(mean_B1HW))))


class ReceptiveFields(nn.Module):
    """The sum of three views of a one-channel map: a scaled one, a filtered one and the map itself, each normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.point = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.BatchNorm2d(1))
        # the window's zero padding comes after the normalisation: outside the image is not what 0 is inside
        self.window = nn.Sequential(
            nn.Conv2d(1, 1, 1, bias=False),
            nn.BatchNorm2d(1),
            nn.Conv2d(1, 1, 3, padding=1, bias=False),
            nn.BatchNorm2d(1),
        )
        self.identity = nn.BatchNorm2d(1)

    def forward(self, map_B1HW: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, 1, H, W)."""
        return self.point(map_B1HW) + self.window(map_B1HW) + self.identity(map_B1HW)
