"""Running a backbone as the segmenter does."""

from __future__ import annotations

from torch import Tensor


def maps_of(backbone, image_BCHW: Tensor) -> list[Tensor]:
    """The map of every stage."""
    visual, maps = backbone.stem(image_BCHW), []
    for stage in backbone.stages:
        visual = stage(visual)
        maps.append(visual)
    return maps
