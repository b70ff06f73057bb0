"""Multi-head attention and feed-forward blocks that every node shares.

Shape letters: B batch, Q queries, S sources (keys), C width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head scaled dot-product attention (Vaswani et al., 2017), `query <- source`.

    Args:
        query_width: width of the queries.
        source_width: width of the keys and values; the query's when None.
        width: inner and output width; the query's when None.
        head_width: least width of a head. A width that is no multiple of it, as some backbones have, is shared out
            among the most heads that are as wide; a narrower one has one head.
    """

    def __init__(
        self,
        query_width: int,
        source_width: int | None = None,
        *,
        width: int | None = None,
        head_width: int = 32,
    ) -> None:
        super().__init__()
        width = width or query_width
        source_width = source_width or query_width
        self.heads = next(heads for heads in range(max(1, width // head_width), 0, -1) if width % heads == 0)
        self.query = nn.Linear(query_width, width)
        self.key_value = nn.Linear(source_width, 2 * width)
        self.output = nn.Linear(width, width)

    def forward(self, query_BQC: Tensor, source_BSC: Tensor, mask_BS: Tensor | None = None) -> Tensor:
        """Attend from every query to the sources that the mask allows.

        Args:
            query_BQC: (B, Q, query_width).
            source_BSC: (B, S, source_width).
            mask_BS: bool, True = may be attended to; at least one a row.

        Returns:
            (B, Q, width).
        """
        query = self._split(self.query(query_BQC))
        key, value = (self._split(part) for part in self.key_value(source_BSC).chunk(2, dim=-1))
        mask_B11S = None if mask_BS is None else mask_BS[:, None, None, :]
        attended = attend(query, key, value, mask_B11S)
        return self.output(attended.transpose(1, 2).flatten(2))

    def weights(self, query_BQC: Tensor, source_BSC: Tensor, mask_BS: Tensor | None = None) -> Tensor:
        """How much each query takes of each source; `forward` never has these numbers in memory.

        Returns:
            (B, heads, Q, S) float32, each row summing to 1; 0 where the mask forbids.
        """
        query = self._split(self.query(query_BQC)).float()
        key = self._split(self.key_value(source_BSC).chunk(2, dim=-1)[0]).float()
        scores = query @ key.transpose(-1, -2) * key.shape[-1] ** -0.5
        if mask_BS is not None:
            scores = scores.masked_fill(~mask_BS[:, None, None, :], -torch.inf)
        return scores.softmax(-1)

    def _split(self, tokens_BSC: Tensor) -> Tensor:
        return tokens_BSC.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def attend(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, *, scale: float | None = None
) -> Tensor:
    """Scaled dot-product attention over (B, heads, tokens, width); the mask broadcasts to (B, heads, Q, S).

    CPUs compute it in float32 at least: their bfloat16 kernel's backward pass takes two to ten times as long.
    """
    if query.device.type != "cpu" or query.itemsize > 2:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)
    with torch.autocast("cpu", enabled=False):
        attended = F.scaled_dot_product_attention(
            query.float(), key.float(), value.float(), attn_mask=mask, scale=scale
        )
    return attended.to(query.dtype)


class FeedForward(nn.Sequential):
    """LayerNorm, Linear, GELU, Linear: the pre-norm feed-forward block, without its residual."""

    def __init__(self, width: int, *, expansion: int = 4, dropout: float = 0.0) -> None:
        super().__init__(
            nn.LayerNorm(width),
            nn.Linear(width, expansion * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(expansion * width, width),
        )
