"""Attention within windows of a map, on a CPU: the map stays as it is, and few weights are in memory at a time.

Shape letters: B images, P pixels of a map, W windows, N places of a window, C channels, h heads, d width of a head.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sbanet.models.precision import at_least_float32, without_autocast

WEIGHTS_AT_ONCE = 1 << 20
"""Attention weights that are in memory at a time: as many as the caches of a processor's core hold."""

APART = 100.0
"""Taken from the score of two pixels that only the shift has put into one window, as Swin's code does."""


class Windows(NamedTuple):
    """Where the windows of a map are.

    Attributes:
        pixels_WN: the pixel at each place of each window; P, one more than the last, for padding.
        regions_WN: places of unlike numbers were not neighbours before the shift.
        whole: the first so many windows have one region each.
    """

    pixels_WN: Tensor
    regions_WN: Tensor
    whole: int


@lru_cache(maxsize=64)
def windows_of(size: tuple[int, int], window: tuple[int, int], shift: tuple[int, int], *, pads_first: bool) -> Windows:
    """The windows of a map of `size`, padded to whole windows at its end, and shifted to the upper left.

    Args:
        size: height and width, pixels.
        window: of a window, pixels.
        shift: rows and columns, less than a window.
        pads_first: whether the map is padded before it is shifted.
    """
    with torch.inference_mode(False):  # later calls may need gradients
        (rows, row_regions), (columns, column_regions) = (
            _side(*of_side, pads_first=pads_first) for of_side in zip(size, window, shift, strict=True)
        )
        padding_WN = _cross(rows < 0, columns < 0, 1) > 0
        pixels_WN = _cross(rows, columns, size[1]).masked_fill(padding_WN, size[0] * size[1])
        regions_WN = _cross(row_regions, column_regions, 3)
        torn = (regions_WN != regions_WN[:, :1]).any(1).sort(stable=True)
        return Windows(pixels_WN[torn.indices], regions_WN[torn.indices], whole=int((~torn.values).sum()))


def _side(length: int, window: int, shift: int, *, pads_first: bool) -> tuple[Tensor, Tensor]:
    """Of each window along one side, which row is at its places (-1 = padding) and its region, (windows, places)."""
    places = torch.arange(length + -length % window)
    if pads_first:
        rows = (places + shift) % len(places)
        rows = rows.masked_fill(rows >= length, -1)
    else:
        rows = ((places + shift) % length).masked_fill(places >= length, -1)
    regions = (places >= len(places) - window).long() + (places >= len(places) - shift).long() if shift else 0 * places
    return rows.view(-1, window), regions.view(-1, window)


def _cross(rows: Tensor, columns: Tensor, times: int) -> Tensor:
    """What is at each place of the map's windows, (W, N), from what is along its sides: rows * times + columns."""
    return (rows[:, None, :, None] * times + columns[None, :, None, :]).flatten(2).flatten(0, 1)


class _WindowedAttention(torch.autograd.Function):
    """As many weights at a time as the caches hold; for the backward pass they are computed again."""

    @staticmethod
    def forward(ctx: Any, qkv_BP3hd: Tensor, padding_3hd: Tensor, bias_hNN: Tensor, windows: Windows) -> Tensor:
        ctx.save_for_backward(qkv_BP3hd, padding_3hd, bias_hNN)
        ctx.windows = windows
        images, pixels, _, *of_head = qkv_BP3hd.shape
        attended = qkv_BP3hd.new_empty(images * pixels + 1, *of_head)  # the last row takes what padding asked
        with without_autocast(qkv_BP3hd):
            for part in _parts(windows, qkv_BP3hd):
                query, key, value = part.attending(qkv_BP3hd, padding_3hd)
                weights = _weights(query, key, bias_hNN, part).to(value.dtype)
                attended.index_copy_(0, part.to_n, (weights @ value).transpose(1, 2).flatten(0, 1))
        return attended[:-1].unflatten(0, (images, pixels))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_BPhd: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        qkv_BP3hd, padding_3hd, bias_hNN = ctx.saved_tensors
        images, pixels, *of_pixel = qkv_BP3hd.shape
        dtype, scale = qkv_BP3hd.dtype, of_pixel[-1] ** -0.5
        of_qkv = qkv_BP3hd.new_empty(images * pixels + 1, *of_pixel)
        of_padding = torch.zeros_like(padding_3hd, dtype=bias_hNN.dtype)
        of_bias = torch.zeros_like(bias_hNN)
        with without_autocast(qkv_BP3hd):
            for part in _parts(ctx.windows, qkv_BP3hd):
                query, key, value = part.attending(qkv_BP3hd, padding_3hd)
                gradient = part.gather(gradient_BPhd, 0).transpose(1, 2).contiguous()
                weights = _weights(query, key, bias_hNN, part)
                of_weights = at_least_float32(gradient @ value.mT)
                of_weights -= (of_weights * weights).sum(-1, keepdim=True)
                of_scores = of_weights.mul_(weights)
                of_bias += of_scores.sum(0)
                of_scores, weights = of_scores.to(dtype), weights.to(dtype)
                of_parts = ((of_scores @ key).mul_(scale), of_scores.mT @ query, weights.mT @ gradient)
                of_places = torch.stack([of_part.transpose(1, 2) for of_part in of_parts], 2).flatten(0, 1)
                of_qkv.index_copy_(0, part.to_n, of_places)
                if len(part.padding):
                    of_padding += of_places[part.padding].sum(0, dtype=of_padding.dtype)
        return of_qkv[:-1].unflatten(0, (images, pixels)), of_padding.to(padding_3hd.dtype), of_bias, None


def attend_in_windows(qkv_BP3hd: Tensor, padding_3hd: Tensor, bias_hNN: Tensor, windows: Windows) -> Tensor:
    """Attention within each window: softmax(q k / sqrt(d) + bias - APART where regions differ) v, (B, P, h, d).

    Padding takes part as keys and values; what it would be as a query is not asked.

    Args:
        qkv_BP3hd: queries, keys and values of the pixels.
        padding_3hd: those of padding.
        bias_hNN: of each pair of places, added to the scores; learned.
        windows: of the map.
    """
    return _WindowedAttention.apply(qkv_BP3hd, padding_3hd, bias_hNN, windows)


class _Part(NamedTuple):
    """Some windows, w of them.

    Attributes:
        to_n: of their places, one after the other: the pixel among those of all images, their number for padding.
        from_n: the same, 0 for padding.
        padding: which of the places are.
        regions_wN: None = each window is one region.
        places: N.
    """

    to_n: Tensor
    from_n: Tensor
    padding: Tensor
    regions_wN: Tensor | None
    places: int

    def gather(self, features_BP: Tensor, padding: Tensor | float) -> Tensor:
        """(B, P, ...) -> (w, N, ...)."""
        some_n = features_BP.flatten(0, 1).index_select(0, self.from_n)
        if len(self.padding):
            some_n[self.padding] = padding
        return some_n.unflatten(0, (-1, self.places))

    def attending(self, qkv_BP3hd: Tensor, padding_3hd: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, already divided by sqrt(d), keys and values, (w, h, N, d) each."""
        query, key, value = self.gather(qkv_BP3hd, padding_3hd).permute(2, 0, 3, 1, 4)
        return (query * query.shape[-1] ** -0.5).contiguous(), key.contiguous(), value.contiguous()


def _weights(query_whNd: Tensor, key_whNd: Tensor, bias_hNN: Tensor, part: _Part) -> Tensor:
    """(w, h, N, N), in at least float32."""
    scores = at_least_float32(query_whNd @ key_whNd.mT)
    scores += bias_hNN
    if part.regions_wN is not None:
        apart_wNN = part.regions_wN[:, :, None] != part.regions_wN[:, None, :]
        scores -= APART * apart_wNN[:, None]
    return scores.softmax(-1)


def _parts(windows: Windows, qkv_BP3hd: Tensor) -> Iterator[_Part]:
    """Windows of all images with about `WEIGHTS_AT_ONCE` together."""
    images, pixels, _, heads, _ = qkv_BP3hd.shape
    count, places = windows.pixels_WN.shape
    size = max(1, WEIGHTS_AT_ONCE // (heads * places**2))
    for image in range(images):
        for start, end, regions_WN in ((0, windows.whole, None), (windows.whole, count, windows.regions_WN)):
            for first in range(start, end, size):
                some = slice(first, min(first + size, end))
                pixels_n = windows.pixels_WN[some].flatten()
                is_padding = pixels_n == pixels
                from_n = pixels_n.masked_fill(is_padding, 0) + image * pixels
                yield _Part(
                    to_n=from_n.masked_fill(is_padding, images * pixels),
                    from_n=from_n,
                    padding=is_padding.nonzero().squeeze(1),
                    regions_wN=None if regions_WN is None else regions_WN[some],
                    places=places,
                )
