"""What a model costs: its parameters and the multiply-adds of a forward pass."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(model: nn.Module) -> int:
    """All parameters, trainable or not."""
    return sum(parameter.numel() for parameter in model.parameters())


@torch.no_grad()
def count_multiply_adds(model: nn.Module, *, image_size: int, num_tokens: int = 20) -> int:
    """Multiply-adds of one forward pass: matrix products, convolutions and attention; a fused one counts once.

    Args:
        model: a `ReferringSegmenter`.
        image_size: side of the square image, pixels.
        num_tokens: length of the sentence.
    """
    parameter = next(model.parameters())
    image = torch.zeros(1, 3, image_size, image_size, dtype=parameter.dtype, device=parameter.device)
    token_ids = torch.ones(1, num_tokens, dtype=torch.long, device=parameter.device)
    was_training = model.training
    model.eval()
    try:
        # the plain attention is a pair of matrix products, which the counter sees on every device
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            model(image, token_ids, token_ids.bool())
    finally:
        model.train(was_training)
    return counter.get_total_flops() // 2
