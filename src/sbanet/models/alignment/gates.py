"""Gates through which an alignment writes into the backbone's trunk."""

from __future__ import annotations

from torch import Tensor, nn


class LanguageGate(nn.Sequential):
    """`tanh(L2 ReLU(L1 r))`, bias-free and of equal width: how much of the fused signal `r` to let through.

    Source: LAVT (Yang et al., CVPR 2022), section 3.3, "language gate".

    Args:
        channels: C, in and out.
        std: of the normal distribution that the weights start from; None = torch's own start.
    """

    def __init__(self, channels: int, *, std: float | None = None) -> None:
        super().__init__(
            nn.Linear(channels, channels, bias=False),
            nn.ReLU(),
            nn.Linear(channels, channels, bias=False),
            nn.Tanh(),
        )
        if std is not None:
            for weight in self.parameters():
                nn.init.normal_(weight, std=std)

    def forward(self, fused: Tensor) -> Tensor:
        """The gated signal `g(r) * r`, of the shape of `r` (..., C)."""
        return super().forward(fused) * fused
