"""Resizing as two small matrix products.

The same numbers as `F.interpolate(mode="bilinear")` and `F.adaptive_avg_pool2d`, but with a backward pass that is
deterministic on GPUs (theirs is not) and, on CPUs, a fraction of the cost. Under autocast it is a matrix product like
any other; logits are resized in float32 (`resize_logits`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from sbanet.models.precision import at_least_float32, without_autocast


def resize_bilinear(features_BCHW: Tensor, size: Sequence[int], *, align_corners: bool = False) -> Tensor:
    """Resize (B, C, H, W) to (B, C, *size), without antialiasing; keeps the memory format.

    Args:
        features_BCHW: any float dtype.
        size: the new (height, width).
        align_corners: whether the corner pixels' centres (True) or the images' edges (False) coincide.
    """
    height, width = size
    if features_BCHW.shape[-2:] == (height, width):
        return features_BCHW
    kind = (align_corners, features_BCHW.dtype, features_BCHW.device)
    rows = _interpolation(features_BCHW.shape[-2], height, *kind)
    columns = _interpolation(features_BCHW.shape[-1], width, *kind)
    return _weigh(features_BCHW, rows, columns)


def pool_average(features_BCHW: Tensor, size: Sequence[int]) -> Tensor:
    """Average (B, C, H, W) over the windows of `F.adaptive_avg_pool2d`: to (B, C, *size), no larger than it was."""
    kind = (features_BCHW.dtype, features_BCHW.device)
    rows = _averaging(features_BCHW.shape[-2], size[0], *kind)
    columns = _averaging(features_BCHW.shape[-1], size[1], *kind)
    return _weigh(features_BCHW, rows, columns)


def _weigh(features_BCHW: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Each new pixel a weighted sum of a rectangle of old ones: (H', H) and (W', W) weights."""
    if not features_BCHW.is_contiguous(memory_format=torch.channels_last) or features_BCHW.shape[1] == 1:
        return rows @ features_BCHW @ columns.mT
    features_BHWC = features_BCHW.permute(0, 2, 3, 1)
    tall_BHWC = (rows @ features_BHWC.flatten(2)).unflatten(2, features_BHWC.shape[2:])
    return (columns @ tall_BHWC).permute(0, 3, 1, 2)


def resize_logits(logits: Tensor, size: Sequence[int], *, align_corners: bool = False) -> Tensor:
    """Resize (B, h, w) or (B, 2, h, w) logits to `size`, in at least float32 whatever the autocast."""
    with without_autocast(logits):
        precise = at_least_float32(logits).contiguous()  # of two channels, rows and columns make the larger products
        if logits.dim() == 4:
            return resize_bilinear(precise, size, align_corners=align_corners)
        return resize_bilinear(precise.unsqueeze(1), size, align_corners=align_corners).squeeze(1)


def logits_at(logits_HW: Tensor, size: Sequence[int]) -> Tensor:
    """Logits (h, w) at an image's own size: the numbers of `resize_logits` in float32, to be scored and shown.

    The sizes of images are many and large. Here the time is linear in the pixels and nothing is kept for the next; but
    the gradient would not be deterministic.
    """
    return F.interpolate(logits_HW[None, None].float(), tuple(size), mode="bilinear")[0, 0]


def resize_to_grid(features_BCHW: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize a map to `size`: by average pooling where it shrinks, bilinearly where it grows."""
    height, width = features_BCHW.shape[-2:]
    if height >= size[0] and width >= size[1]:
        return features_BCHW if (height, width) == size else pool_average(features_BCHW, size)
    return resize_bilinear(features_BCHW, size)


def map_size(features_BCHW: Tensor) -> tuple[int, int]:
    """(height, width) of a map."""
    return features_BCHW.shape[-2], features_BCHW.shape[-1]


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # what prediction computes first must serve a later backward pass
def _interpolation(source: int, target: int, align_corners: bool, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(target, source): each row holds the two weights with which a target pixel reads the source."""
    pixels = torch.arange(target, dtype=torch.float64, device="cpu")
    corners = pixels * ((source - 1) / max(target - 1, 1))
    position = (corners if align_corners else (pixels + 0.5) * source / target - 0.5).clamp(0, source - 1)
    lower = position.floor().long().clamp(max=max(source - 2, 0))
    fraction = position - lower
    weights = torch.zeros(target, source, dtype=torch.float64, device="cpu")
    weights.scatter_add_(1, lower[:, None], 1 - fraction[:, None])
    weights.scatter_add_(1, (lower + 1).clamp(max=source - 1)[:, None], fraction[:, None])
    return weights.to(device=device, dtype=dtype)


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def interpolation_under_taps(
    source: int, target: int, taps: int, align_corners: bool, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """(target, source * taps): the interpolation's weights for what each tap of a convolution sees, 0 outside."""
    plain = _interpolation(source, target, align_corners, dtype, device)
    padded = F.pad(plain, (0, 0, taps // 2, taps // 2))
    return torch.stack([padded[tap : tap + target] for tap in range(taps)], dim=-1).flatten(1)


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _averaging(source: int, target: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(target, source): each row averages the pixels that a target pixel covers, even in part."""
    pixels = torch.arange(target, dtype=torch.long, device="cpu")[:, None]
    covered = torch.arange(source, dtype=torch.long, device="cpu")[None]
    inside = (covered >= pixels * source // target) & (covered < -(-(pixels + 1) * source // target))
    return (inside / inside.sum(1, keepdim=True, dtype=torch.float64)).to(device=device, dtype=dtype)
