"""SBANet's dynamic feature selection: how much of the wide and of the close view each channel needs.

Shape letters: B batch, H W stage's map, C channels, D text width.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Branches = Literal["both", "macro", "micro", "plain"]
BRANCHES: dict[str, tuple[str, ...]] = {
    "both": ("macro", "micro"),
    "macro": ("macro",),
    "micro": ("micro",),
    "plain": (),
}


class DynamicFeatureSelection(nn.Module):
    """`V + a_micro * micro + a_macro * macro`, the weights a softmax over the branches, a channel each.

    micro is a depthwise 3x3 convolution of V; macro a depthwise dilated one plus V's global average.
    The weights come from the pooled sum of both branches and, if asked, from the sentence.

    Args:
        channels: C.
        sentence_width: D of the sentence vector that takes part in the selection; None = it does not.
        branches: `both`, `macro`, `micro`, or `plain` (the identity).
        macro_kernel: kernel of the macro convolution.
        macro_dilation: its dilation.
        reduction: by how much the selection's MLP narrows.

    Raises:
        ValueError: if `branches` is unknown.
    """

    def __init__(
        self,
        channels: int,
        *,
        sentence_width: int | None,
        branches: Branches = "both",
        macro_kernel: int = 3,
        macro_dilation: int = 3,
        reduction: int = 4,
    ) -> None:
        super().__init__()
        if branches not in BRANCHES:
            raise ValueError(f"model.alignment.features: unknown {branches!r}; known: {', '.join(BRANCHES)}")
        self.branches = BRANCHES[branches]
        if "micro" in self.branches:
            self.micro = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        if "macro" in self.branches:
            self.macro = DilatedDepthwise(channels, macro_kernel, macro_dilation)
        if len(self.branches) > 1:
            hidden = max(8, channels // reduction)
            self.squeeze = nn.Linear(channels, hidden)
            self.sentence = nn.Linear(sentence_width, hidden, bias=False) if sentence_width else None
            self.weigh = nn.Sequential(nn.GELU(), nn.Linear(hidden, len(self.branches) * channels))

    def forward(self, visual: Tensor, sentence_BD: Tensor) -> Tensor:
        """(B, C, H, W) and the sentence (B, D) -> (B, C, H, W)."""
        if not self.branches:
            return visual
        views = [getattr(self, f"_{branch}_view")(visual) for branch in self.branches]
        if len(views) == 1:
            return visual + views[0]
        weights = self._weights(views, sentence_BD)
        return visual + sum(weight * view for weight, view in zip(weights, views, strict=True))

    def _macro_view(self, visual: Tensor) -> Tensor:
        return self.macro(visual) + visual.mean((2, 3), keepdim=True)

    def _micro_view(self, visual: Tensor) -> Tensor:
        return self.micro(visual)

    def _weights(self, views: list[Tensor], sentence_BD: Tensor) -> list[Tensor]:
        """One (B, C, 1, 1) weight a branch, together 1."""
        pooled_BC = sum(view.mean((2, 3)) for view in views)
        hidden = self.squeeze(pooled_BC)
        if self.sentence is not None:
            hidden = hidden + self.sentence(sentence_BD)
        scores = self.weigh(hidden).unflatten(1, (len(views), -1))
        weights = torch.softmax(scores, dim=1).to(views[0].dtype)
        return [weight[:, :, None, None] for weight in weights.unbind(1)]


class DilatedDepthwise(nn.Conv2d):
    """A depthwise convolution whose taps lie `dilation` pixels apart, as an undilated one on each phase.

    Equal to `nn.Conv2d(..., dilation=dilation)`; the undilated 3x3 kernels of CPUs are ten times as fast.

    Args:
        channels: C.
        kernel: odd.
        dilation: distance of the taps, in pixels.

    Raises:
        ValueError: if `kernel` is even.
    """

    def __init__(self, channels: int, kernel: int, dilation: int) -> None:
        if kernel % 2 == 0:
            raise ValueError(f"model.alignment.macro_kernel: got {kernel}, expected an odd number")
        super().__init__(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.step = dilation

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        step, (batch, channels, height, width) = self.step, features_BCHW.shape
        if min(height, width) < step * self.kernel_size[0]:  # phases too small to be worth the copies
            reach = step * self.padding[0]
            return F.conv2d(features_BCHW, self.weight, self.bias, 1, reach, step, self.groups)
        padded = F.pad(features_BCHW, (0, -width % step, 0, -height % step))
        rows, columns = padded.shape[-2] // step, padded.shape[-1] // step
        # B C (h p) (w q) -> (B p q) C h w, channels last in memory: every phase is an image of its own
        phases = padded.permute(0, 2, 3, 1).reshape(batch, rows, step, columns, step, channels)
        phases = phases.permute(0, 2, 4, 1, 3, 5).reshape(-1, rows, columns, channels)
        convolved = super().forward(phases.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        convolved = convolved.reshape(batch, step, step, rows, columns, channels).permute(0, 3, 1, 4, 2, 5)
        return convolved.reshape(batch, *padded.shape[-2:], channels)[:, :height, :width].permute(0, 3, 1, 2)
