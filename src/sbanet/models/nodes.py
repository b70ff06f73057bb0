"""What the five nodes of the model exchange, and what each must publish.

Shape letters: B batch, H W image, `Hi Wi Ci` stage i (strides 4, 8, 16, 32), T tokens, D text width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

NUM_STAGES = 4


class Words(NamedTuple):
    """The sentence as vectors; text never travels without its mask.

    Attributes:
        features_BTD: one vector a token.
        mask_BT: True = a real token, False = padding; at least one True a row.
    """

    features_BTD: Tensor
    mask_BT: Tensor

    def sentence_BD(self) -> Tensor:
        """The masked mean of the words."""
        weights_BT1 = self.mask_BT.unsqueeze(-1).to(self.features_BTD.dtype)
        return (self.features_BTD * weights_BT1).sum(1) / weights_BT1.sum(1)


class Aligned(NamedTuple):
    """What an alignment returns for its stage; both maps have the shape that came in.

    An alignment or aggregator that never looks at the words says so by `reads_words = False`; where no node reads
    them, the text encoder is not trained.

    Attributes:
        visual: (B, Ci, Hi, Wi), feeds the next stage of the backbone.
        words: feeds the next stage's alignment.
        fused: (B, Ci, Hi, Wi), feeds the aggregator.
    """

    visual: Tensor
    words: Words
    fused: Tensor


@runtime_checkable
class Tokenizer(Protocol):
    """Sentences -> padded token ids and their mask."""

    max_tokens: int

    def __call__(self, expressions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token ids (B, T) int64 and mask (B, T) bool, padded to the longest of the batch."""
        ...

    def count(self, expression: str) -> int:
        """How many tokens the sentence has before any truncation."""
        ...


def pixels_last(features_BCHW: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H*W, C); free for channels-last memory."""
    return features_BCHW.flatten(2).transpose(1, 2)


def pixels_to_map(pixels_BNC: Tensor, size: torch.Size | tuple[int, int]) -> Tensor:
    """(B, H*W, C) -> (B, C, H, W), a view in channels-last memory."""
    return pixels_BNC.transpose(1, 2).unflatten(2, tuple(size))


class ChannelLayerNorm(nn.LayerNorm):
    """LayerNorm over the channels of each pixel of a (B, C, H, W) map."""

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return super().forward(features_BCHW.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def foreground_logits(logits: Tensor) -> Tensor:
    """One logit a pixel (B, H, W), positive = referred, from one or two channels."""
    return logits[:, 1] - logits[:, 0] if logits.dim() == 4 else logits
