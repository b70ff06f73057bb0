"""The peers' way of computing, inside our code: what the speed of everything else is compared with.

In their code attention is a product, a softmax and a product, evaluation is one image at a time, every step waits for
its loss, the optimiser goes parameter by parameter, maps are channels-first, and memory is the C library's own affair.
Much of that our config says (`OVERRIDES`); the rest is here and in `speed_case.Way`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor

OVERRIDES = (
    "model.channels_last=false",
    "model.fast_linear=false",
    "model.backbone.fused_attention=false",
    "model.decoder.mix_early=false",
    "optim.optimizer.fused=false",
    "+optim.optimizer.foreach=false",
)


@contextmanager
def explicit_attention() -> Iterator[None]:
    """Within it, attention by whatever library has its weights in memory."""
    with patch.object(F, "scaled_dot_product_attention", softmax_attention):
        yield


def softmax_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    **_: Any,
) -> Tensor:
    """`torch.nn.functional.scaled_dot_product_attention` as it is written in papers."""
    if is_causal:
        raise NotImplementedError("no text encoder of a benchmark is causal")
    scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -1e4) if attn_mask.dtype == torch.bool else scores + attn_mask
    weights = F.dropout(scores.softmax(-1), dropout_p)
    return weights @ value
