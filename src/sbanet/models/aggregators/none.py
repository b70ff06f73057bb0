"""No aggregator: the decoder sees each stage's fused map as it is."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from sbanet.models.nodes import Words


class NoAggregator(nn.Module):
    """The identity on the list of fused maps.

    Args:
        channels: Ci of the four stages, unused.
        width: the text width, unused.
    """

    reads_words = False

    def __init__(self, *, channels: Sequence[int], width: int) -> None:
        super().__init__()

    def forward(self, fused: list[Tensor], words: Words) -> list[Tensor]:
        """The list of (B, Ci, Hi, Wi), unchanged."""
        return fused
