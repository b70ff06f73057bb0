"""No alignment: pixels and words pass each other by."""

from __future__ import annotations

from torch import Tensor, nn

from sbanet.models.nodes import Aligned, ChannelLayerNorm, Words


class NoAlignment(nn.Module):
    """The stage's features as they are, normalised for the aggregator; the sentence is not read.

    Args:
        channels: Ci of the stage.
        width: the text width, unused.
        stage: the stage's number, unused.
    """

    reads_words = False

    def __init__(self, *, channels: int, width: int, stage: int) -> None:
        super().__init__()
        self.norm = ChannelLayerNorm(channels)

    def forward(self, visual: Tensor, words: Words) -> Aligned:
        """(B, Ci, Hi, Wi) and the words, unchanged, and the normalised map."""
        return Aligned(visual, words, self.norm(visual))
