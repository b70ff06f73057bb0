"""What the queries of the bidirectional alignment attend to, seen from outside.

The model keeps no attention weights (its kernels never form them); here they are computed once more, from the inputs
of the attention modules, while a context is open. Outside of it nothing of this runs.

Shape letters: B batch, H W a stage's map, K queries, T tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sbanet.models.alignment.bam import BidirectionalAlignment
from sbanet.models.segmenter import ReferringSegmenter


@dataclass(frozen=True, slots=True, kw_only=True)
class StageAttention:
    """Where the attentions of one stage looked; means over the heads, float32, on the CPU.

    Attributes:
        words_BKT: what each query took of each token; sums to 1 over the tokens, 0 at padding.
        regions_BKHW: what each query took of each pixel; sums to 1 over the map.
        read_queries_BHWK: what each pixel took of each query.
        read_words_BHWT: what each pixel took of each token; with `read_queries_BHWK` it sums to 1 for each pixel.
    """

    words_BKT: Tensor
    regions_BKHW: Tensor
    read_queries_BHWK: Tensor
    read_words_BHWT: Tensor


@contextmanager
def recorded_attention(model: ReferringSegmenter) -> Iterator[dict[int, StageAttention]]:
    """Record what the queries attend to while the context is open.

        with recorded_attention(model) as stages:
            model.predict(image, "the red ship")
        stages[3].words_BKT

    Args:
        model: whose alignment has queries at one stage at least; its answers stay the same.

    Yields:
        By stage, filled by each forward pass with its own; a later one replaces what an earlier one left.

    Raises:
        ValueError: no stage has queries.
    """
    stages: dict[int, StageAttention] = {}
    with ExitStack() as hooks:
        watched = [
            hooks.enter_context(_watched(alignment, stage, stages))
            for stage, alignment in enumerate(model.alignments)
            if isinstance(alignment, BidirectionalAlignment) and alignment.gather is not None
        ]
        if not watched:
            kinds = ", ".join(sorted({type(alignment).__name__ for alignment in model.alignments}))
            raise ValueError(
                f"model.alignment: got {kinds} without queries; "
                "expected BidirectionalAlignment (model/alignment=bam) with num_queries of 1 or more"
            )
        yield stages


@contextmanager
def _watched(alignment: BidirectionalAlignment, stage: int, stages: dict[int, StageAttention]) -> Iterator[str]:
    """Record one alignment; its attentions run first, then it knows the map's size."""
    assert alignment.gather is not None
    weights: dict[str, Tensor] = {}
    attentions = {
        "words": alignment.gather.from_words,
        "regions": alignment.gather.from_pixels,
        "read": alignment.read,
    }

    def keep(name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Any, ...], _: Any) -> None:
            with torch.no_grad():
                weights[name] = attentions[name].weights(*inputs).mean(1).cpu()

        return hook

    def assemble(module: nn.Module, inputs: tuple[Any, ...], _: Any) -> None:
        size = inputs[0].shape[-2:]
        read_BHWS = weights["read"].unflatten(1, size)
        stages[stage] = StageAttention(
            words_BKT=weights["words"],
            regions_BKHW=weights["regions"].unflatten(2, size),
            read_queries_BHWK=read_BHWS[..., : alignment.num_queries],
            read_words_BHWT=read_BHWS[..., alignment.num_queries :],
        )

    handles = [attention.register_forward_hook(keep(name)) for name, attention in attentions.items()]
    handles.append(alignment.register_forward_hook(assemble))
    try:
        yield type(alignment).__name__
    finally:
        for handle in handles:
            handle.remove()
