"""AeroScenes, the built-in dataset: procedural aerial scenes with unambiguous expressions, nothing to download."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sbanet.data.datasets import RecordDataset
from sbanet.data.records import Record
from sbanet.data.scene_cache import SceneSet, cached_scenes


class AeroScenes(RecordDataset):
    """A split of AeroScenes.

    Categories and the manner of the sentences are RRSIS-D's; every sample is tagged with the skills that its
    expression needs (`sbanet.data.grammar.SKILLS`). The same settings give the same bytes on every machine.

    Args:
        scene_set: which scenes, and what is said about them.
        cache: folder of the memory-mapped arrays, shared by all jobs of a machine.
    """

    def __init__(self, scene_set: SceneSet, cache: str | Path) -> None:
        scenes = cached_scenes(scene_set, Path(cache))
        self._images, self._instance_maps = scenes.images, scenes.instance_maps
        self._first = scene_set.first
        super().__init__(scenes.records, fingerprint=scene_set.fingerprint)

    def image(self, record: Record) -> np.ndarray:
        """(H, W, 3) uint8, RGB."""
        return self._images[int(record.image) - self._first]

    def mask(self, record: Record) -> np.ndarray:
        """(H, W) bool."""
        return self._instance_maps[int(record.image) - self._first] == record.instance + 1
