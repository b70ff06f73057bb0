"""Losses on one logit a pixel: the difference of the two channels, where a decoder has two.

Shape letters: B batch, H W image, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sbanet.errors import ConfigError


class BinaryCrossEntropy(nn.Module):
    """Class-weighted cross-entropy: the weighted mean of the pixels' losses.

    Over a batch it is the cross-entropy of two channels with class weights, as LAVT (Yang et al., CVPR 2022) has it:
    a sample with more of the heavier class then counts more.

    Args:
        foreground: weight of the referent's pixels.
        background: weight of all others.
        mean_over: `sample` = of each sample, and then of the samples, alike; `batch` = of all pixels of the batch.

    Raises:
        ConfigError: `mean_over` is unknown.
    """

    def __init__(
        self,
        *,
        foreground: float = 1.0,
        background: float = 1.0,
        mean_over: Literal["sample", "batch"] = "sample",
    ) -> None:
        super().__init__()
        if mean_over not in ("sample", "batch"):
            raise ConfigError(f"mean_over={mean_over}: expected sample or batch")
        self.foreground = foreground
        self.background = background
        self.mean_over = mean_over

    def forward(self, logits_BHW: Tensor, target_BHW: Tensor) -> Tensor:
        """Logits (B, H, W) and a bool mask -> a scalar."""
        target = target_BHW.to(logits_BHW.dtype)
        losses = F.binary_cross_entropy_with_logits(logits_BHW, target, reduction="none")
        weights = self.background + (self.foreground - self.background) * target
        pixels = (0, 1, 2) if self.mean_over == "batch" else (1, 2)
        return ((losses * weights).sum(pixels) / weights.sum(pixels)).mean()


class Dice(nn.Module):
    """`1 - 2 sum(p y) / (sum p + sum y)` of each sample (Milletari et al., 2016, without squares).

    RMSIN (Liu et al., CVPR 2024) has it of `both` classes and takes the `sum`, so that its weight beside a mean grows
    with the batch of a device.

    Args:
        smooth: added to numerator and denominator.
        classes: `foreground`, or `both` = of the background as well.
        reduction: `mean` or `sum` over the samples and their classes.

    Raises:
        ConfigError: `classes` or `reduction` is unknown.
    """

    def __init__(
        self,
        *,
        smooth: float = 1.0,
        classes: Literal["foreground", "both"] = "foreground",
        reduction: Literal["mean", "sum"] = "mean",
    ) -> None:
        super().__init__()
        if classes not in ("foreground", "both"):
            raise ConfigError(f"classes={classes}: expected foreground or both")
        if reduction not in ("mean", "sum"):
            raise ConfigError(f"reduction={reduction}: expected mean or sum")
        self.smooth = smooth
        self.classes = classes
        self.reduction = reduction

    def forward(self, logits_BHW: Tensor, target_BHW: Tensor) -> Tensor:
        """Logits (B, H, W) and a bool mask -> a scalar."""
        losses = [self._of_class(logits_BHW.sigmoid(), target_BHW)]
        if self.classes == "both":  # of the negative logits: 1 - p has no digits left where p is almost 1
            losses.append(self._of_class((-logits_BHW).sigmoid(), ~target_BHW))
        losses_KB = torch.stack(losses)
        return losses_KB.sum() if self.reduction == "sum" else losses_KB.mean()

    def _of_class(self, probability_BHW: Tensor, mask_BHW: Tensor) -> Tensor:
        target = mask_BHW.to(probability_BHW.dtype)
        overlap = (probability_BHW * target).sum((1, 2))
        total = probability_BHW.sum((1, 2)) + target.sum((1, 2))
        return 1 - (2 * overlap + self.smooth) / (total + self.smooth)


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
