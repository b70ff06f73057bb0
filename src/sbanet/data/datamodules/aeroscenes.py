"""The built-in procedural dataset as a data module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sbanet.data.aeroscenes import AeroScenes
from sbanet.data.datamodules.base import ReferringDataModule, require_whole
from sbanet.data.grammar import Grammar
from sbanet.data.scene_cache import SceneSet
from sbanet.data.scenes import SceneConfig
from sbanet.errors import DataError


class AeroScenesDataModule(ReferringDataModule):
    """The built-in procedural dataset.

    Args:
        scenes: what scenes are like; their size need not be the network's.
        grammar: writes the expressions.
        scenes_per_split: number of scenes of train, val and test.
        expressions_per_scene: at most so many samples a scene.
        scene_seed: the dataset's own seed: another one is another dataset.
        cache: folder of the drawn scenes.
        options: see `ReferringDataModule`.

    Raises:
        ConfigError: a number below its least.
    """

    SPLITS = ("train", "val", "test")
    SPLIT_STRIDE = 10_000_000  # the scene numbers of a split start at a multiple of this

    def __init__(
        self,
        *,
        scenes: SceneConfig,
        grammar: Grammar,
        scenes_per_split: Mapping[str, int],
        expressions_per_scene: int,
        scene_seed: int,
        cache: str | Path,
        **options: Any,
    ) -> None:
        super().__init__(name="aeroscenes", **options)
        require_whole(0, scene_seed=scene_seed)
        require_whole(1, expressions_per_scene=expressions_per_scene)
        require_whole(1, **{f"scenes_per_split.{split}": count for split, count in scenes_per_split.items()})
        self.scenes = scenes
        self.grammar = grammar
        self.scenes_per_split = dict(scenes_per_split)
        self.expressions_per_scene = expressions_per_scene
        self.scene_seed = scene_seed
        self.cache = Path(cache)

    @property
    def splits(self) -> Sequence[str]:
        """The names of the splits there are."""
        return list(self.scenes_per_split)

    def prepare_data(self) -> None:
        """Draw what the cache lacks (on one process a machine); a test asks for its split alone."""
        tests = self.trainer is not None and self.trainer.testing
        for split in (self.test_split,) if tests else self.scenes_per_split:
            self.dataset(split)

    def scene_set(self, split: str) -> SceneSet:
        """The scenes of a split.

        Raises:
            DataError: the split is unknown.
        """
        if split not in self.SPLITS or split not in self.scenes_per_split:
            known = ", ".join(name for name in self.SPLITS if name in self.scenes_per_split)
            raise DataError(f"split={split!r}: AeroScenes has no such split; known: {known}")
        return SceneSet(
            scenes=self.scenes,
            grammar=self.grammar,
            seed=self.scene_seed,
            split=split,
            first=self.SPLITS.index(split) * self.SPLIT_STRIDE,
            count=self.scenes_per_split[split],
            expressions_per_scene=self.expressions_per_scene,
        )

    def dataset(self, split: str) -> AeroScenes:
        """A split; drawn first where the cache lacks it."""
        return AeroScenes(self.scene_set(split), self.cache)
