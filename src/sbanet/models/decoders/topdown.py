"""LAVT's decoder: from the coarsest fused map down to stride 4.

Shape letters: B batch, `Hi Wi Ci` stage i, h hidden width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from sbanet.models.convolution import Convolution3x3, convolve_3x3, convolve_resized
from sbanet.models.resize import resize_bilinear


class PyramidDecoder(nn.Module):
    """Upsample, concatenate the finer map, two 3x3 convolutions; three times; then the logits at stride 4.

    Args:
        channels: Ci of the four stages.
        hidden: h, the width of the convolutions; half of the last stage's channels when None.
        num_outputs: 1 = one logit a pixel (positive = referred); 2 = background and referent.
        align_corners: of the bilinear upsampling.
        mix_early: whether a level's first convolution mixes the coarser map's channels before that is upsampled: the
            same function of fewer multiply-adds.
        second_convolution: h -> a level's second convolution, (B, h, H, W) -> (B, h, H, W).

    Raises:
        ValueError: if `num_outputs` is neither 1 nor 2.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int],
        hidden: int | None,
        num_outputs: int,
        align_corners: bool,
        mix_early: bool,
        second_convolution: Callable[[int], nn.Module],
    ) -> None:
        super().__init__()
        if num_outputs not in (1, 2):
            raise ValueError(f"model.decoder.num_outputs: got {num_outputs}, expected 1 or 2")
        hidden = hidden or channels[-1] // 2
        incoming = [channels[-1], hidden, hidden]
        self.levels = nn.ModuleList(
            nn.Sequential(
                Convolution3x3(wide + skip, hidden),
                nn.BatchNorm2d(hidden),
                nn.ReLU(inplace=True),
                second_convolution(hidden),
                nn.BatchNorm2d(hidden),
                nn.ReLU(inplace=True),
            )
            for wide, skip in zip(incoming, reversed(channels[:-1]), strict=True)
        )
        self.classifier = nn.Conv2d(hidden, num_outputs, 1)
        self.num_outputs = num_outputs
        self.align_corners = align_corners
        self.mix_early = mix_early

    def forward(self, fused: list[Tensor]) -> Tensor:
        """The four maps (B, Ci, Hi, Wi) -> logits (B, H0, W0) at stride 4; (B, 2, H0, W0) with two outputs."""
        *skips, features = fused
        for level, skip in zip(self.levels, reversed(skips), strict=True):
            first, *others = cast(nn.Sequential, level)
            features = self._convolve(cast(Convolution3x3, first), features, skip)
            for module in others:
                features = module(features)
        logits = self.classifier(features)
        return logits if self.num_outputs == 2 else logits.squeeze(1)

    def _convolve(self, convolution: Convolution3x3, features: Tensor, skip: Tensor) -> Tensor:
        """A level's first convolution, of the coarser map at the skip's size beside the skip."""
        size = (skip.shape[-2], skip.shape[-1])
        grows = 2 * features.shape[-2] * features.shape[-1] <= size[0] * size[1]
        if not self.mix_early or not grows or features.is_meta:  # meta: the multiply-adds of the model as it is written
            features = resize_bilinear(features, size, align_corners=self.align_corners)
            return convolution(torch.cat([features, skip], dim=1))
        of_coarse, of_skip = convolution.weight.split([features.shape[1], skip.shape[1]], dim=1)
        coarse = convolve_resized(features, of_coarse, size, align_corners=self.align_corners)
        return coarse + convolve_3x3(skip, of_skip)


class TopDownDecoder(PyramidDecoder):
    """The pyramid decoder with plain convolutions.

    Source: LAVT (Yang et al., CVPR 2022), equations 8-9.

    Args:
        channels: Ci of the four stages.
        hidden: h, the width of the convolutions; half of the last stage's channels when None, as in LAVT.
        num_outputs: 1 = one logit a pixel (positive = referred); 2 = background and referent.
        align_corners: of the bilinear upsampling (True in LAVT).
        mix_early: see `PyramidDecoder`.

    Raises:
        ValueError: if `num_outputs` is neither 1 nor 2.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int],
        hidden: int | None = None,
        num_outputs: int = 1,
        align_corners: bool = False,
        mix_early: bool = True,
    ) -> None:
        super().__init__(
            channels=channels,
            hidden=hidden,
            num_outputs=num_outputs,
            align_corners=align_corners,
            mix_early=mix_early,
            second_convolution=lambda width: Convolution3x3(width, width),
        )
