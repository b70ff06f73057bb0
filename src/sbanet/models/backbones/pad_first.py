"""Swin's windows in the order of the official code: the map is padded first, then shifted.

Shape letters: B batch, H W map, C channels.
"""

from __future__ import annotations

import torch.nn.functional as F
from timm.models.swin_transformer import SwinTransformerBlock
from torch import Tensor, nn


class PadFirstBlock(SwinTransformerBlock):
    """A block of timm's Swin that pads its map to whole windows before it shifts them; timm's own shifts first.

    The two differ where a shifted map is padded, so at 480 pixels in the last stage of a Swin with windows of 12.
    Weights released for the official code (Liu et al., ICCV 2021), and so LAVT's and RMSIN's, expect this order.
    """

    def _attn(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> the same; on a map of whole windows, timm pads nothing."""
        height, width = x.shape[1:3]
        rows, columns = self.window_size
        padded = F.pad(x, (0, 0, 0, -width % columns, 0, -height % rows))
        return super()._attn(padded)[:, :height, :width]


def pad_before_shift(backbone: nn.Module, name: str) -> None:
    """Let every block of a Swin pad first; its weights stay what they are.

    Raises:
        ValueError: the model has no Swin blocks.
    """
    blocks = [module for module in backbone.modules() if type(module) is SwinTransformerBlock]
    if not blocks:
        raise ValueError(
            f"model.backbone.pad_before_shift=true: timm's {name} has no Swin blocks; it is for swin_tiny_... to "
            "swin_large_... alone, set false"
        )
    for block in blocks:
        block.__class__ = (
            PadFirstBlock  # as a subclass, it survives copies of the model, which a patched method would not
        )
