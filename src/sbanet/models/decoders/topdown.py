"""LAVT's decoder: from the coarsest fused map down to stride 4.

Shape letters: B batch, `Hi Wi Ci` stage i, h hidden width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from sbanet.models.convolution import Convolution3x3
from sbanet.models.resize import resize_bilinear


class PyramidDecoder(nn.Module):
    """Upsample, concatenate the finer map, two 3x3 convolutions; three times; then the logits at stride 4.

    Args:
        channels: Ci of the four stages.
        hidden: h, the width of the convolutions; half of the last stage's channels when None.
        num_outputs: 1 = one logit a pixel (positive = referred); 2 = background and referent.
        align_corners: of the bilinear upsampling.
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

    def forward(self, fused: list[Tensor]) -> Tensor:
        """The four maps (B, Ci, Hi, Wi) -> logits (B, H0, W0) at stride 4; (B, 2, H0, W0) with two outputs."""
        *skips, features = fused
        for level, skip in zip(self.levels, reversed(skips), strict=True):
            features = resize_bilinear(features, skip.shape[-2:], align_corners=self.align_corners)
            features = level(torch.cat([features, skip], dim=1))
        logits = self.classifier(features)
        return logits if self.num_outputs == 2 else logits.squeeze(1)


class TopDownDecoder(PyramidDecoder):
    """The pyramid decoder with plain convolutions.

    Source: LAVT (Yang et al., CVPR 2022), equations 8-9.

    Args:
        channels: Ci of the four stages.
        hidden: h, the width of the convolutions; half of the last stage's channels when None, as in LAVT.
        num_outputs: 1 = one logit a pixel (positive = referred); 2 = background and referent.
        align_corners: of the bilinear upsampling (True in LAVT).

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
    ) -> None:
        super().__init__(
            channels=channels,
            hidden=hidden,
            num_outputs=num_outputs,
            align_corners=align_corners,
            second_convolution=lambda width: Convolution3x3(width, width),
        )
