"""Swin's blocks: in the order of the official code, and without the work that nothing comes of.

Shape letters: B batch, H W map, C channels, h heads, d width of a head, N places of a window.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from timm.models.swin_transformer import SwinTransformerBlock
from torch import Tensor, nn

from sbanet.models.backbones.window_attention import attend_in_windows, windows_of


class SwinBlock(SwinTransformerBlock):
    """A block of timm's Swin with the same weights, whose attention is computed in another order, or another way.

    Attributes:
        pads_first: whether a map is padded to whole windows before it is shifted; timm's own shifts first. The two
            differ where a shifted map is padded, so at 480 pixels in the last stage of a Swin with windows of 12.
            Weights released for the official code (Liu et al., ICCV 2021), and so LAVT's and RMSIN's, expect this.
        fused: whether attention is computed without its weights in memory, with the same numbers: by torch's fused
            kernel, or on a CPU a few windows at a time. There the map is also neither shifted, padded nor cut into
            windows, and padding has its queries, keys and values computed once: at 480 pixels, with windows of 12,
            padded maps have 1.4 and 2.6 times the pixels in the last two stages. (torch's kernel for CPUs has no
            gradient for the learned position bias, and takes up to twice the time of products on a few windows.)
    """

    pads_first = False
    fused = False

    def _attn(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> the same."""
        # in a compiled graph, every step of a loop would stand by itself
        if self.fused and x.device.type == "cpu" and not torch.compiler.is_compiling():
            return self._attend(x)
        if not self.pads_first:
            return super()._attn(x)
        height, width = x.shape[1:3]
        rows, columns = self.window_size
        padded = F.pad(x, (0, 0, 0, -width % columns, 0, -height % rows))
        return super()._attn(padded)[:, :height, :width]  # of a map of whole windows, timm pads nothing

    def _attend(self, x_BHWC: Tensor) -> Tensor:
        size, attention = x_BHWC.shape[1:3], self.attn
        of_parts = (3, attention.num_heads, -1)
        qkv_BP3hd = attention.qkv(x_BHWC.flatten(1, 2)).unflatten(-1, of_parts)
        of_zeros = attention.qkv.bias if attention.qkv.bias is not None else x_BHWC.new_zeros(qkv_BP3hd[0, 0].numel())
        # an embedding's gradient is summed faster than that of an indexed table
        bias_NNh = F.embedding(attention.get_buffer("relative_position_index"), attention.relative_position_bias_table)
        attended_BPhd: Tensor = attend_in_windows(
            qkv_BP3hd,
            of_zeros.to(qkv_BP3hd.dtype).view(of_parts),
            bias_NNh.permute(2, 0, 1).contiguous(),
            windows_of(tuple(size), self.window_size, self.shift_size, pads_first=self.pads_first),
        )
        return attention.proj_drop(attention.proj(attended_BPhd.flatten(2))).unflatten(1, size)


def change_swin_blocks(backbone: nn.Module, name: str, *, pads_first: bool, fused: bool) -> None:
    """Let every block of a Swin be computed as `SwinBlock` says; its weights stay what they are.

    Args:
        backbone: a Swin, or without `pads_first` any other model, which stays what it is.
        name: of the model, for the message.
        pads_first: see `SwinBlock`.
        fused: see `SwinBlock`; where weights of attention are dropped, they stay in memory.

    Raises:
        ValueError: the model has no Swin blocks, and `pads_first` asks for them.
    """
    blocks = [module for module in backbone.modules() if type(module) is SwinTransformerBlock]
    for block in blocks:
        block.__class__ = SwinBlock  # a subclass survives copies of the model, which a patched method would not
    if pads_first and not blocks:
        raise ValueError(
            f"model.backbone.pad_before_shift=true: timm's {name} has no Swin blocks; it is for swin_tiny_... to "
            "swin_large_... alone, set false"
        )
    for block in cast(list[SwinBlock], blocks):
        block.pads_first = pads_first
        block.fused = fused and not block.attn.attn_drop.p
        block.attn.fused_attn = block.fused  # type: ignore[misc]  # timm says final, for torch.jit
