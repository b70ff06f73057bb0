"""What a file of official weights says of the model that it belongs to: widths, depths, windows, heads."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from sbanet.errors import CheckpointError

Weights = Mapping[str, Tensor]

_NAMED: dict[tuple[int, tuple[int, ...], int], str] = {
    (96, (2, 2, 6, 2), 7): "swin_tiny_patch4_window7_224",
    (96, (2, 2, 18, 2), 7): "swin_small_patch4_window7_224",
    (128, (2, 2, 18, 2), 7): "swin_base_patch4_window7_224",
    (128, (2, 2, 18, 2), 12): "swin_base_patch4_window12_384",
    (192, (2, 2, 18, 2), 7): "swin_large_patch4_window7_224",
    (192, (2, 2, 18, 2), 12): "swin_large_patch4_window12_384",
}

BERT_HEAD_WIDTH = 64
"""Of BERT in every size that was released; its weights do not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """What the weights tell.

    Attributes:
        model: `lavt` or `rmsin`.
        embed_dim: channels of the Swin's first stage.
        depths: its blocks a stage.
        heads: its attention heads a stage.
        window: the side of its windows.
        words: the text encoder's vocabulary size.
        width: its width.
        layers: its layers.
        feed_forward: the inner width of its feed-forward blocks.
        positions: the longest sentence it reads.
        hidden: the decoder's width.
        outputs: its channels.
        grid: RMSIN's aggregator's (height, width).
        kernels: of each rotated convolution of RMSIN's decoder.
    """

    model: str
    embed_dim: int
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    window: int
    words: int
    width: int
    layers: int
    feed_forward: int
    positions: int
    hidden: int
    outputs: int
    grid: tuple[int, int] | None = None
    kernels: int = 1

    @property
    def timm_name(self) -> str:
        """The Swin of timm that is the same or, where there is none, of the same kind."""
        return _NAMED.get((self.embed_dim, self.depths, self.window), "swin_base_patch4_window12_384")

    @property
    def timm_arguments(self) -> dict[str, object]:
        """What has to be laid over timm's arguments of `timm_name`; nothing where it is the same."""
        if (self.embed_dim, self.depths, self.window) in _NAMED:
            return {}
        return {
            "embed_dim": self.embed_dim, "depths": list(self.depths), "num_heads": list(self.heads),
            "window_size": self.window,
        }  # fmt: skip


def read_architecture(weights: Weights) -> Architecture:
    """Read off the shapes what has to be built.

    Args:
        weights: by official name.

    Raises:
        CheckpointError: they are neither LAVT's nor RMSIN's, or lack what the sizes are read from.
    """
    if not any(name.startswith("backbone.layers.") for name in weights) or not any(
        name.startswith("classifier.") for name in weights
    ):
        seen = ", ".join(list(weights)[:3]) or "nothing"
        raise CheckpointError(
            f"the weights are neither LAVT's nor RMSIN's: expected backbone.layers.*, classifier.* and text_encoder.*; "
            f"they begin with {seen}"
        )
    is_rmsin = any(name.startswith("backbone.cim.") for name in weights)
    depths = tuple(count(weights, rf"backbone\.layers\.{stage}\.blocks\.(\d+)\.") for stage in range(4))
    tables = [
        shape(weights, f"backbone.layers.{stage}.blocks.0.attn.relative_position_bias_table", 2) for stage in range(4)
    ]
    words, width = shape(weights, "text_encoder.embeddings.word_embeddings.weight", 2)
    head = shape(weights, "classifier.conv1_1.weight", 4)
    kernel = shape(weights, "classifier.conv2_4.weight", 5 if is_rmsin else 4)
    return Architecture(
        model="rmsin" if is_rmsin else "lavt",
        embed_dim=shape(weights, "backbone.patch_embed.proj.weight", 4)[0],
        depths=depths,
        heads=tuple(table[1] for table in tables),
        window=(math.isqrt(tables[0][0]) + 1) // 2,
        words=words,
        width=width,
        layers=count(weights, r"text_encoder\.encoder\.layer\.(\d+)\."),
        feed_forward=shape(weights, "text_encoder.encoder.layer.0.intermediate.dense.weight", 2)[0],
        positions=shape(weights, "text_encoder.embeddings.position_embeddings.weight", 2)[0],
        hidden=head[1],
        outputs=head[0],
        grid=square_grid(weights) if is_rmsin else None,
        kernels=kernel[0] if is_rmsin else 1,
    )


def shape(weights: Weights, name: str, dimensions: int) -> Sequence[int]:
    """The shape of a weight that sizes are read from.

    Raises:
        CheckpointError: it is missing, or has another number of dimensions.
    """
    if name not in weights:
        raise CheckpointError(f"{name} is missing")
    found = tuple(weights[name].shape)
    if len(found) != dimensions:
        raise CheckpointError(f"{name} has shape {found}, expected {dimensions} dimensions")
    return found


def count(weights: Weights, pattern: str) -> int:
    """How many layers there are by their numbers in the names.

    Raises:
        CheckpointError: there is none.
    """
    numbers = {int(found[1]) for name in weights if (found := re.match(pattern, name))}
    if not numbers:
        raise CheckpointError(f"{pattern.replace(chr(92), '').replace('(d+)', '*')} is missing")
    return max(numbers) + 1


def square_grid(weights: Weights) -> tuple[int, int]:
    """The grid that RMSIN's aggregator was built for: square, as all official inputs are.

    Raises:
        CheckpointError: its projection belongs to no square.
    """
    name = "backbone.cim.block.0.csa1.m.attention.proj.weight"
    places = shape(weights, name, 2)[0]
    side = math.isqrt(places)
    if side * side != places:
        raise CheckpointError(f"{name} has {places} rows, expected a square number: one for each place of the grid")
    return side, side
