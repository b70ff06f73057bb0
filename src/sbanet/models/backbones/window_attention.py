"""Swin's windowed attention without its weights in memory.

Shape letters: B windows of all images, N places of a window, C channels, h heads, d width of a head, W windows of an
image.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from timm.models.swin_transformer import WindowAttention
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sbanet.models.precision import at_least_float32, without_autocast

WEIGHTS_AT_ONCE = 1 << 20
"""Attention weights that are in memory at a time: as many as the caches of a processor's core hold."""


class FusedWindowAttention(WindowAttention):
    """timm's windowed attention without its weights in memory: the same parameters, the same numbers.

    timm has such a path that is off by default, by torch's fused kernel; GPUs take it. The kernel of CPUs has no
    gradient for the learned position bias, and takes up to twice the time of products on a few windows at once.
    """

    relative_position_index: Tensor

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, N, C) and what is added to the scores of each window, (W, N, N) -> (B, N, C)."""
        if x.device.type != "cpu" or torch.compiler.is_compiling():  # a graph would hold every step of the loop
            return super().forward(x, mask)
        qkv_BN3hd = self.qkv(x).unflatten(-1, (3, self.num_heads, -1))
        # an embedding's gradient is summed faster than that of an indexed table
        bias_NNh = F.embedding(self.relative_position_index, self.relative_position_bias_table)
        attended_BNhd: Tensor = attend_in_windows(qkv_BN3hd, bias_NNh.permute(2, 0, 1).contiguous(), mask)
        return self.proj_drop(self.proj(attended_BNhd.flatten(2)))


def fuse_window_attention(backbone: nn.Module) -> None:
    """Let every windowed attention of a Swin be computed without its weights in memory; other models have their own."""
    for module in backbone.modules():
        if type(module) is WindowAttention and not module.attn_drop.p:  # weights that are dropped must be in memory
            module.__class__ = FusedWindowAttention
            module.fused_attn = True  # type: ignore[misc]  # timm says final, for torch.jit


class _WindowedAttention(torch.autograd.Function):
    """As many weights at a time as the caches hold; for the backward pass they are computed again."""

    @staticmethod
    def forward(ctx: Any, qkv_BN3hd: Tensor, bias_hNN: Tensor, mask_WNN: Tensor | None) -> Tensor:
        ctx.save_for_backward(qkv_BN3hd, bias_hNN, mask_WNN)
        attended_BNhd = torch.empty_like(qkv_BN3hd[:, :, 0])
        with without_autocast(qkv_BN3hd):
            for some, mask in _parts(qkv_BN3hd, mask_WNN):
                query, key, value = _scaled(qkv_BN3hd[some])
                weights = _weights(query, key, bias_hNN, mask).to(value.dtype)
                attended_BNhd[some] = (weights @ value).transpose(1, 2)
        return attended_BNhd

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_BNhd: Tensor) -> tuple[Tensor, Tensor, None]:
        qkv_BN3hd, bias_hNN, mask_WNN = ctx.saved_tensors
        dtype, scale = qkv_BN3hd.dtype, qkv_BN3hd.shape[-1] ** -0.5
        gradients = torch.empty_like(qkv_BN3hd)
        of_bias = torch.zeros_like(bias_hNN)
        with without_autocast(qkv_BN3hd):
            for some, mask in _parts(qkv_BN3hd, mask_WNN):
                query, key, value = _scaled(qkv_BN3hd[some])
                gradient = gradient_BNhd[some].transpose(1, 2).contiguous()
                weights = _weights(query, key, bias_hNN, mask)
                of_weights = at_least_float32(gradient @ value.mT)
                of_weights -= (of_weights * weights).sum(-1, keepdim=True)
                of_scores = of_weights.mul_(weights)
                of_bias += of_scores.sum(0)
                of_scores, weights = of_scores.to(dtype), weights.to(dtype)
                parts = ((of_scores @ key).mul_(scale), of_scores.mT @ query, weights.mT @ gradient)
                for number, part in enumerate(parts):
                    gradients[some, :, number] = part.transpose(1, 2)
        return gradients, of_bias, None


def attend_in_windows(qkv_BN3hd: Tensor, bias_hNN: Tensor, mask_WNN: Tensor | None) -> Tensor:
    """Attention within each window on a CPU: softmax(q k / sqrt(d) + bias + mask) v, (B, N, h, d).

    Args:
        qkv_BN3hd: queries, keys and values, (B, N, 3, h, d).
        bias_hNN: of each pair of places, added to the scores; learned.
        mask_WNN: added as well, by the window's number in its image; the windows of an image follow each other.
    """
    return _WindowedAttention.apply(qkv_BN3hd, bias_hNN, mask_WNN)


def _scaled(qkv_BN3hd: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, already divided by sqrt(d), keys and values, (B, h, N, d) each."""
    query, key, value = qkv_BN3hd.permute(2, 0, 3, 1, 4)
    return (query * query.shape[-1] ** -0.5).contiguous(), key.contiguous(), value.contiguous()


def _weights(query_BhNd: Tensor, key_BhNd: Tensor, bias_hNN: Tensor, mask_B1NN: Tensor | None) -> Tensor:
    """(B, h, N, N), in at least float32."""
    scores = at_least_float32(query_BhNd @ key_BhNd.mT)
    scores += bias_hNN if mask_B1NN is None else bias_hNN + mask_B1NN
    return scores.softmax(-1)


def _parts(qkv_BN3hd: Tensor, mask_WNN: Tensor | None) -> Iterator[tuple[slice, Tensor | None]]:
    """Windows with about `WEIGHTS_AT_ONCE` together, and their masks (windows, 1, N, N)."""
    count, places, _, heads, _ = qkv_BN3hd.shape
    size = max(1, WEIGHTS_AT_ONCE // (heads * places**2))
    for first in range(0, count, size):
        some = slice(first, min(first + size, count))
        if mask_WNN is None:
            yield some, None
        else:
            yield some, mask_WNN[torch.arange(some.start, some.stop) % len(mask_WNN), None]
