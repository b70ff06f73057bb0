"""SBANet's bidirectional alignment: a few learned queries carry what pixels and words know of each other.

The four steps are this project's reading of Li, Vosselman, Yang, "Scale-wise Bidirectional Alignment Network
for Referring Remote Sensing Image Segmentation" (ISPRS J. 226, 2025, arXiv 2501.00851); each choice is an argument.

Shape letters: B batch, H W stage's map, N = H*W pixels, C channels, K queries, T tokens, D text width, E inner width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sbanet.models.alignment.feature_selection import Branches, DynamicFeatureSelection
from sbanet.models.alignment.gates import LanguageGate
from sbanet.models.attention import Attention, FeedForward
from sbanet.models.nodes import NUM_STAGES, Aligned, Words, pixels_last, pixels_to_map


class BidirectionalAlignment(nn.Module):
    """Bidirectional alignment module (BAM): updates the visual and the linguistic features of its stage.

    1. *Select* macro and micro visual features (`features`).
    2. *Gather*: the queries collect the key tokens of the sentence, then the regions that belong to them.
    3. *Vision to language*: the words read the queries.
    4. *Language to vision*: every pixel reads queries and words; the next stage receives the result through
       a gate, the aggregator receives it ungated. Pixels attend to K + T tokens: linear in N.

    Args:
        channels: C, the stage's channels.
        width: D, the text width.
        stage: the stage's number; the last stage has no gate, since nothing follows.
        num_queries: K; 0 lets pixels and words attend to each other directly.
        features: what the pixels are before they meet the words: `both` (the dynamic selection of macro and micro
            features), one of the branches `macro` or `micro` alone, or `plain` (the backbone's own).
        text_guided_selection: whether the sentence takes part in the selection.
        vision_to_language: whether the words are updated.
        language_scale: initial value of the learned scalar on that update.
        inner_width: E, the width of the queries and of the attentions; C when None.
        head_width: width of an attention head.
        macro_kernel: kernel of the macro branch's depthwise convolution.
        macro_dilation: its dilation.

    Raises:
        ValueError: if `num_queries` is negative, or `features` unknown.
    """

    reads_words = True

    def __init__(
        self,
        *,
        channels: int,
        width: int,
        stage: int,
        num_queries: int = 16,
        features: Branches = "both",
        text_guided_selection: bool = True,
        vision_to_language: bool = True,
        language_scale: float = 0.1,
        inner_width: int | None = None,
        head_width: int = 32,
        macro_kernel: int = 3,
        macro_dilation: int = 3,
    ) -> None:
        super().__init__()
        if num_queries < 0:
            raise ValueError(f"model.alignment.num_queries: got {num_queries}, expected 0 or more")
        inner = inner_width or channels
        self.num_queries = num_queries
        self.select = DynamicFeatureSelection(
            channels,
            sentence_width=width if text_guided_selection else None,
            branches=features,
            macro_kernel=macro_kernel,
            macro_dilation=macro_dilation,
        )
        self.pixel_norm = nn.LayerNorm(channels)
        self.word_norm = nn.LayerNorm(width)
        self.gather = QueryGathering(num_queries, channels, width, inner, head_width) if num_queries else None
        self.to_language = (
            VisionToLanguage(width, inner if num_queries else channels, language_scale, head_width)
            if vision_to_language
            else None
        )
        self.updated_word_norm = nn.LayerNorm(width) if vision_to_language else None
        self.word_projection = nn.Linear(width, inner)
        self.read = Attention(channels, inner, width=inner, head_width=head_width)
        self.pixel_projection = nn.Linear(channels, inner)
        self.fusion_projection = nn.Linear(inner, channels)
        self.gate = LanguageGate(channels) if stage < NUM_STAGES - 1 else None
        self.fused_norm = nn.LayerNorm(channels)

    def forward(self, visual: Tensor, words: Words) -> Aligned:
        """(B, C, H, W) and the words -> the gated map, the updated words, the normalised fused map."""
        size = visual.shape[-2:]
        pixels_BNC = self.pixel_norm(pixels_last(self.select(visual, words.sentence_BD())))
        word_features_BTD = self.word_norm(words.features_BTD)
        queries_BKE = self.gather(pixels_BNC, word_features_BTD, words.mask_BT) if self.gather else None

        if self.to_language is not None and self.updated_word_norm is not None:
            words = self.to_language(words, word_features_BTD, pixels_BNC if queries_BKE is None else queries_BKE)
            word_features_BTD = self.updated_word_norm(words.features_BTD)

        fused_BNC = self._read_language(pixels_BNC, queries_BKE, word_features_BTD, words.mask_BT)
        fused = pixels_to_map(self.fused_norm(fused_BNC), size)
        if self.gate is None:
            return Aligned(visual, words, fused)
        return Aligned(visual + pixels_to_map(self.gate(fused_BNC), size), words, fused)

    def _read_language(
        self, pixels_BNC: Tensor, queries_BKE: Tensor | None, word_features_BTD: Tensor, mask_BT: Tensor
    ) -> Tensor:
        sources_BSE = self.word_projection(word_features_BTD)
        if queries_BKE is not None:
            sources_BSE = torch.cat([queries_BKE.to(sources_BSE.dtype), sources_BSE], dim=1)
            mask_BT = F.pad(mask_BT, (queries_BKE.shape[1], 0), value=True)
        attended_BNE = self.read(pixels_BNC, sources_BSE, mask_BT)
        return F.gelu(self.fusion_projection(F.gelu(self.pixel_projection(pixels_BNC)) * attended_BNE))


class QueryGathering(nn.Module):
    """Learned queries collect the key tokens, then the regions that belong to them.

    Args:
        num_queries: K.
        channels: C.
        width: D.
        inner_width: E.
        head_width: width of an attention head.
    """

    def __init__(self, num_queries: int, channels: int, width: int, inner_width: int, head_width: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(num_queries, inner_width) * inner_width**-0.5)
        self.query_norm = nn.LayerNorm(inner_width)
        self.from_words = Attention(inner_width, width, head_width=head_width)
        self.token_norm = nn.LayerNorm(inner_width)
        self.from_pixels = Attention(inner_width, channels, head_width=head_width)
        self.output_norm = nn.LayerNorm(inner_width)

    def forward(self, pixels_BNC: Tensor, word_features_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        """Normalised pixels and words -> (B, K, E)."""
        queries_BKE = self.queries.expand(len(pixels_BNC), -1, -1)
        queries_BKE = queries_BKE + self.from_words(self.query_norm(queries_BKE), word_features_BTD, mask_BT)
        queries_BKE = queries_BKE + self.from_pixels(self.token_norm(queries_BKE), pixels_BNC)
        return self.output_norm(queries_BKE)


class VisionToLanguage(nn.Module):
    """`L' = L + g * block(Attn(L <- visual tokens))`; padding stays as it was.

    Args:
        width: D.
        source_width: width of the visual tokens.
        scale: initial value of g. At 0 a short training could not see the branch.
        head_width: width of an attention head.
    """

    def __init__(self, width: int, source_width: int, scale: float, head_width: int) -> None:
        super().__init__()
        self.attention = Attention(width, source_width, head_width=head_width)
        self.feed_forward = FeedForward(width)
        self.scale = nn.Parameter(torch.tensor(float(scale)))

    def forward(self, words: Words, word_features_BTD: Tensor, tokens_BSE: Tensor) -> Words:
        """The words, their normalised features and the visual tokens -> the updated words."""
        update_BTD = self.attention(word_features_BTD, tokens_BSE)
        update_BTD = self.scale * (update_BTD + self.feed_forward(update_BTD))
        return Words(words.features_BTD + update_BTD * words.mask_BT.unsqueeze(-1), words.mask_BT)
