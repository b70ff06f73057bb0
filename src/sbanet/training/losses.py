"""Losses on one logit a pixel, each a mean of per-sample losses.

Shape letters: B batch, H W image.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn


class BinaryCrossEntropy(nn.Module):
    """Class-weighted cross-entropy; the mean over the pixels of a sample, weighted, then over the samples.

    Args:
        foreground: weight of the referent's pixels.
        background: weight of all others.
    """

    def __init__(self, *, foreground: float = 1.0, background: float = 1.0) -> None:
        super().__init__()
        self.foreground = foreground
        self.background = background

    def forward(self, logits_BHW: Tensor, target_BHW: Tensor) -> Tensor:
        """Logits (B, H, W) and a bool mask -> a scalar."""
        target = target_BHW.to(logits_BHW.dtype)
        losses = F.binary_cross_entropy_with_logits(logits_BHW, target, reduction="none")
        weights = self.background + (self.foreground - self.background) * target
        return ((losses * weights).sum((1, 2)) / weights.sum((1, 2))).mean()


class Dice(nn.Module):
    """`1 - 2 sum(p y) / (sum p + sum y)` a sample (Milletari et al., 2016, without squares), then the mean.

    Args:
        smooth: added to numerator and denominator.
    """

    def __init__(self, *, smooth: float = 1.0) -> None:
        super().__init__()
        self.smooth = smooth

    def forward(self, logits_BHW: Tensor, target_BHW: Tensor) -> Tensor:
        """Logits (B, H, W) and a bool mask -> a scalar."""
        probability, target = logits_BHW.sigmoid(), target_BHW.to(logits_BHW.dtype)
        overlap = (probability * target).sum((1, 2))
        total = probability.sum((1, 2)) + target.sum((1, 2))
        return (1 - (2 * overlap + self.smooth) / (total + self.smooth)).mean()


class WeightedSum(nn.Module):
    """A weighted sum of losses, each reported under its name.

    Args:
        terms: the losses by name.
        weights: their weights, by the same names.

    Raises:
        ValueError: if the names differ.
    """

    def __init__(self, *, terms: Mapping[str, nn.Module], weights: Mapping[str, float]) -> None:
        super().__init__()
        if set(terms) != set(weights):
            raise ValueError(f"loss: terms {sorted(terms)} and weights {sorted(weights)} differ; name each in both")
        self.terms = nn.ModuleDict(dict(terms))
        self.weights = dict(weights)

    def forward(self, logits_BHW: Tensor, target_BHW: Tensor) -> dict[str, Tensor]:
        """Logits (B, H, W) and a bool mask -> every term, and their weighted sum as `loss`; scalars."""
        values = {name: term(logits_BHW, target_BHW) for name, term in self.terms.items()}
        total = sum(self.weights[name] * value for name, value in values.items())
        return {"loss": total, **values}
