"""Intersection and union of every sample, gathered exactly from any number of ranks.

Shape letters: B batch, H W image.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from sbanet.scores import score


class ReferringScores(Metric):
    """Collects I and U of each sample as integers; the scores come from `sbanet.scores`.

    The evaluation batches repeat no sample, so the ranks' parts only have to be put together: the numbers are
    the same for any number of ranks.
    """

    full_state_update = False
    intersections: list[Tensor]
    unions: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("intersections", default=[], dist_reduce_fx="cat")
        self.add_state("unions", default=[], dist_reduce_fx="cat")

    @property
    def dtype(self) -> torch.dtype:
        """Of what a rank that has no sample sends: as the others' integers, or the ranks misread each other."""
        return torch.int64

    def update(self, intersection_B: Tensor, union_B: Tensor) -> None:
        """Add the integers of a batch, (B,) each."""
        self.intersections.append(intersection_B)
        self.unions.append(union_B)

    def compute(self) -> dict[str, float]:
        """The scores over all samples so far, by name (`sbanet.scores.Scores.as_dict`)."""
        return score(self._numbers(self.intersections), self._numbers(self.unions)).as_dict()

    @staticmethod
    def _numbers(parts: list[Tensor] | Tensor) -> np.ndarray:
        # a list before, one tensor after torchmetrics has put the ranks together
        return (torch.cat(parts) if isinstance(parts, list) else parts).cpu().numpy()


def intersection_and_union(prediction_BHW: Tensor, target_BHW: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels in both and in either of two bool masks, (B,) int64 each."""
    both = (prediction_BHW & target_BHW).flatten(-2).sum(-1)
    either = (prediction_BHW | target_BHW).flatten(-2).sum(-1)
    return both, either
