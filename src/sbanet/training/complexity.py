"""What a model costs: its parameters and the multiply-adds of a forward pass."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(model: nn.Module) -> int:
    """All parameters, trainable or not."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_multiply_adds(model: nn.Module, *, image_size: int, num_tokens: int = 20) -> int:
    """Multiply-adds of one forward pass: matrix products, convolutions and attention; a fused one counts once.

    Counted on a copy without memory (the meta device): nothing is computed.

    Args:
        model: a `ReferringSegmenter`.
        image_size: side of the square image, pixels.
        num_tokens: length of the sentence.
    """
    shell = copy.deepcopy(model).to("meta").eval().requires_grad_(False)
    image = torch.zeros(1, 3, image_size, image_size, dtype=next(shell.parameters()).dtype, device="meta")
    token_ids = torch.ones(1, num_tokens, dtype=torch.long, device="meta")
    # the plain attention is a pair of matrix products, which the counter sees
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        shell(image, token_ids, torch.ones_like(token_ids, dtype=torch.bool))
    return int(counter.get_total_flops() // 2)
