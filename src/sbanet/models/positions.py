"""Coordinates for the pixels: sentences say "on the left", convolutions do not know where they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn


class CoordinateEncoding(nn.Module):
    """Adds a learned projection of each cell's normalised coordinates, one projection a stage.

    A cell at relative position (x, y) in [-1, 1] is described by x, y, x^2, y^2, xy and sines and cosines of
    `frequencies` octaves of both; relative to the image, so that any size reads alike.

    Args:
        channels: Ci of the four stages.
        frequencies: octaves of sines and cosines.
    """

    def __init__(self, *, channels: Sequence[int], frequencies: int = 3) -> None:
        super().__init__()
        self.frequencies = frequencies
        self.projections = nn.ModuleList(nn.Linear(5 + 4 * frequencies, count) for count in channels)

    def forward(self, visual: Tensor, stage: int) -> Tensor:
        """(B, Ci, Hi, Wi) -> the same plus its coordinates' projection."""
        height, width = visual.shape[-2:]
        projection = cast(nn.Linear, self.projections[stage])
        encoding_HWC = projection(self._describe(height, width, visual.device).to(projection.weight.dtype))
        return visual + encoding_HWC.permute(2, 0, 1).to(visual.dtype)

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
