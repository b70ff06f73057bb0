"""Coordinates for the pixels: sentences say "on the left", convolutions do not know where they are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from sbanet.models.nodes import NUM_STAGES


class CoordinateEncoding(nn.Module):
    """Adds a learned projection of each cell's normalised coordinates, one projection a stage.

    A cell at relative position (x, y) in [-1, 1] is described by x, y, x^2, y^2, xy and sines and cosines of
    `frequencies` octaves of both; relative to the image, so that any size reads alike.

    Args:
        channels: Ci of the four stages.
        stages: which of them it is called for.
        frequencies: octaves of sines and cosines.
        relative: whether the projection is scaled by the map's own root mean square. Pretrained backbones' maps can be
            an order of magnitude larger than what a projection begins with, which then is not seen beside them.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int],
        stages: Collection[int] = range(NUM_STAGES),
        frequencies: int = 3,
        relative: bool = False,
    ) -> None:
        super().__init__()
        self.frequencies = frequencies
        self.relative = relative
        self.projections = nn.ModuleList(
            nn.Linear(5 + 4 * frequencies, count) if stage in stages else nn.Identity()
            for stage, count in enumerate(channels)
        )

    def forward(self, visual: Tensor, stage: int) -> Tensor:
        """(B, Ci, Hi, Wi) -> the same plus its coordinates' projection."""
        height, width = visual.shape[-2:]
        projection = cast(nn.Linear, self.projections[stage])
        encoding_HWC = projection(self._describe(height, width, visual.device).to(projection.weight.dtype))
        encoding_CHW = encoding_HWC.permute(2, 0, 1)
        if self.relative:
            precise = visual.detach().float() if visual.itemsize < 4 else visual.detach()
            size_B111 = precise.square().mean((1, 2, 3), keepdim=True).sqrt()
            return visual + (size_B111 * encoding_CHW).to(visual.dtype)
        return visual + encoding_CHW.to(visual.dtype)

    def _describe(self, height: int, width: int, device: torch.device) -> Tensor:
        """(H, W, 5 + 4 * frequencies), float32."""
        y = (2 * torch.arange(height, device=device) + 1) / height - 1
        x = (2 * torch.arange(width, device=device) + 1) / width - 1
        y, x = torch.meshgrid(y, x, indexing="ij")
        features = [x, y, x * x, y * y, x * y]
        for octave in range(self.frequencies):
            for coordinate in (x, y):
                angle = coordinate * (torch.pi * 2**octave)
                features += [torch.sin(angle), torch.cos(angle)]
        return torch.stack(features, dim=-1)
