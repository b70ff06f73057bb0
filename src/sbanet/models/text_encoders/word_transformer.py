"""Sentences as vectors: a small transformer trained from scratch, with a word-level tokenizer of its own.

Shape letters: B batch, T tokens, D text width.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sbanet.models.attention import Attention, FeedForward
from sbanet.models.nodes import Words

PADDING, START, UNKNOWN = "<pad>", "<start>", "<unknown>"
WORD = re.compile(r"[a-z0-9]+|[^\sa-z0-9]")


class WordTokenizer:
    """Splits a sentence into lower-case words and numbers them; every sentence opens with a start token.

    Args:
        words: the vocabulary.
        max_tokens: cap on the length, start token included; what lies beyond is cut.

    Raises:
        ValueError: if a word stands twice in the vocabulary, or the cap leaves no room for the start token.
    """

    def __init__(self, words: Sequence[str], *, max_tokens: int = 40) -> None:
        self.words = [PADDING, START, UNKNOWN, *words]
        self.ids = {word: number for number, word in enumerate(self.words)}
        if len(self.ids) != len(self.words):
            twice = sorted({word for word in self.words if self.words.count(word) > 1})
            raise ValueError(f"model.text_encoder.tokenizer.words: {twice} stand more than once")
        if max_tokens < 1:
            raise ValueError(f"model.text_encoder.tokenizer.max_tokens: got {max_tokens}, expected 1 or more")
        self.max_tokens = max_tokens

    def split(self, expression: str) -> list[str]:
        """The words of a sentence, as the tokenizer sees them."""
        return WORD.findall(expression.lower())

    def count(self, expression: str) -> int:
        """How many tokens the sentence has before any truncation."""
        return 1 + len(self.split(expression))

    def unknown(self, expression: str) -> list[str]:
        """The words of a sentence that are not in the vocabulary."""
        return [word for word in self.split(expression) if word not in self.ids]

    def __call__(self, expressions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token ids (B, T) int64 and mask (B, T) bool, padded to the longest of the batch."""
        unknown = self.ids[UNKNOWN]
        rows = [
            [self.ids[START], *(self.ids.get(word, unknown) for word in self.split(expression))][: self.max_tokens]
            for expression in expressions
        ]
        length = max(len(row) for row in rows)
        token_ids = torch.tensor([row + [self.ids[PADDING]] * (length - len(row)) for row in rows])
        token_mask = torch.arange(length) < torch.tensor([[len(row)] for row in rows])
        return token_ids, token_mask


class WordTransformer(nn.Module):
    """A pre-norm transformer encoder over words, small enough to be trained from scratch on a CPU.

    Args:
        tokenizer: whose vocabulary the embedding spans.
        width: D.
        depth: number of layers.
        head_width: width of an attention head.
        dropout: on the embeddings and in the layers.
    """

    def __init__(
        self,
        *,
        tokenizer: WordTokenizer,
        width: int = 128,
        depth: int = 2,
        head_width: int = 32,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.width = width
        self.tokenizer = tokenizer
        self.embedding = nn.Embedding(len(tokenizer.words), width)
        self.position_embedding = nn.Embedding(tokenizer.max_tokens, width)
        nn.init.normal_(self.embedding.weight, std=0.5)
        nn.init.normal_(self.position_embedding.weight, std=0.1)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(TransformerLayer(width, head_width, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, token_ids_BT: Tensor, token_mask_BT: Tensor) -> Words:
        """Token ids and mask (B, T) -> the words (B, T, D); padded positions are zero."""
        positions_T = torch.arange(token_ids_BT.shape[1], device=token_ids_BT.device)
        features_BTD = self.dropout(self.embedding(token_ids_BT) + self.position_embedding(positions_T))
        for layer in self.layers:
            features_BTD = layer(features_BTD, token_mask_BT)
        return Words(self.norm(features_BTD) * token_mask_BT.unsqueeze(-1), token_mask_BT)

    def get_extra_state(self) -> dict[str, list[str]]:
        """The vocabulary, so that weights are never read with another one."""
        return {"words": self.tokenizer.words}

    def set_extra_state(self, state: dict[str, list[str]]) -> None:
        """Compare the stored vocabulary with the tokenizer's.

        Raises:
            ValueError: if they differ.
        """
        if state["words"] != self.tokenizer.words:
            changed = sorted(set(state["words"]) ^ set(self.tokenizer.words)) or "their order"
            raise ValueError(
                f"model.text_encoder: the weights were trained with another vocabulary (differing: {changed}); "
                "use the tokenizer of the checkpoint's own config"
            )


class TransformerLayer(nn.Module):
    """Self-attention and feed-forward, both pre-norm and residual."""

    def __init__(self, width: int, head_width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, head_width=head_width)
        self.feed_forward = FeedForward(width, dropout=dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        """(B, T, D) and its mask -> (B, T, D)."""
        normed = self.norm(features_BTD)
        features_BTD = features_BTD + self.dropout(self.attention(normed, normed, mask_BT))
        return features_BTD + self.dropout(self.feed_forward(features_BTD))
