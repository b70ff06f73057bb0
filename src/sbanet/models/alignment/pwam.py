"""LAVT's pixel-word attention module: every pixel gathers the words that concern it.

Shape letters: B batch, N = Hi*Wi pixels, C channels of the stage, T tokens, D text width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from sbanet.models.alignment.gates import LanguageGate
from sbanet.models.attention import attend
from sbanet.models.nodes import NUM_STAGES, Aligned, Words, pixels_last, pixels_to_map

OFFICIAL_GATE_STD = 0.02
"""The gates start as the linear layers of the Swin that they stand beside."""


class PixelWordAttention(nn.Module):
    """Pixel-word attention with multiplicative fusion and a language gate.

    Source: LAVT (Yang et al., CVPR 2022), equations 1-7. The attention's scale is C^-1/2 of the full width
    whatever the number of heads, as in the official code.

    Args:
        channels: C, the stage's channels.
        width: D, the text width.
        stage: the stage's number; the last stage's gate feeds nothing and is frozen.
        heads: attention heads, of all stages or one number a stage.
        dropout: after both GELUs of the fusion.

    Raises:
        ValueError: if `channels` is no multiple of the heads, or their numbers are not one a stage.
    """

    reads_words = True

    def __init__(
        self, *, channels: int, width: int, stage: int, heads: int | Sequence[int] = 1, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.heads = heads_of(stage, heads, channels)
        self.is_last = stage == NUM_STAGES - 1
        self.visual_projection = nn.Linear(channels, channels)
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(width, channels)
        self.value = nn.Linear(width, channels)
        self.attended_projection = nn.Linear(channels, channels)
        self.fusion_projection = nn.Linear(channels, channels)
        self.dropout = nn.Dropout(dropout)
        self.gate = LanguageGate(channels, std=OFFICIAL_GATE_STD)
        self.norm = nn.LayerNorm(channels)
        if self.is_last:
            self.gate.requires_grad_(False)

    def forward(self, visual: Tensor, words: Words) -> Aligned:
        """(B, C, Hi, Wi) and the words -> the gated map, the same words, the normalised fused map."""
        size = visual.shape[-2:]
        pixels_BNC = pixels_last(visual)
        fused_BNC = self._fuse(pixels_BNC, words)
        fused = pixels_to_map(self.norm(fused_BNC), size)
        if self.is_last:
            return Aligned(visual, words, fused)
        return Aligned(pixels_to_map(pixels_BNC + self._update(visual, fused_BNC), size), words, fused)

    def _update(self, visual: Tensor, fused_BNC: Tensor) -> Tensor:
        """(B, N, C): what the stage adds to the backbone's pixels for the next one."""
        return self.gate(fused_BNC)

    def _fuse(self, pixels_BNC: Tensor, words: Words) -> Tensor:
        projected_BNC = self.dropout(F.gelu(self.visual_projection(pixels_BNC)))
        query = self._split(instance_norm(self.query(pixels_BNC)))
        key, value = self._split(self.key(words.features_BTD)), self._split(self.value(words.features_BTD))
        mask_B11T = words.mask_BT[:, None, None, :]
        attended = attend(query, key, value, mask_B11T, scale=pixels_BNC.shape[-1] ** -0.5)
        attended_BNC = instance_norm(self.attended_projection(attended.transpose(1, 2).flatten(2)))
        return self.dropout(F.gelu(self.fusion_projection(projected_BNC * attended_BNC)))

    def _split(self, tokens: Tensor) -> Tensor:
        return tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def heads_of(stage: int, heads: int | Sequence[int], channels: int) -> int:
    """The attention heads of a stage.

    Raises:
        ValueError: they do not divide the channels, or there is not one number a stage.
    """
    if not isinstance(heads, int):
        if len(heads) != NUM_STAGES:
            raise ValueError(
                f"model.alignment.heads: got {list(heads)}, expected a number, or {NUM_STAGES}: one a stage"
            )
        heads = heads[stage]
    if heads < 1 or channels % heads:
        raise ValueError(f"model.alignment.heads: {heads} heads do not divide {channels} channels")
    return heads


def instance_norm(pixels_BNC: Tensor, eps: float = 1e-5) -> Tensor:
    """Normalise each channel of each sample over its N pixels; no parameters, the same in training and eval."""
    pixels = pixels_BNC if pixels_BNC.dtype.is_floating_point and pixels_BNC.itemsize > 2 else pixels_BNC.float()
    centred = pixels - pixels.mean(1, keepdim=True)
    variance = centred.square().mean(1, keepdim=True)  # `var` takes several times as long on CPUs
    return (centred * (variance + eps).rsqrt()).to(pixels_BNC.dtype)
