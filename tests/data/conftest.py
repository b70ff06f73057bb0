"""Small data for the tests of the data side: noise images, tiny scenes, a tokenizer that counts letters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from sbanet.data.datamodules import AeroScenesDataModule
from sbanet.data.datasets import RecordDataset
from sbanet.data.grammar import Grammar
from sbanet.data.records import Record
from sbanet.data.scene_cache import SceneSet
from sbanet.data.scenes import SceneConfig


def letter_counts(sentences: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """A token a word: the number of its letters; one token of 0 letters for an empty sentence."""
    counts = [[len(word) for word in sentence.split()] or [0] for sentence in sentences]
    longest = max(map(len, counts))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in counts])
    return ids, torch.tensor([[k < len(row) for k in range(longest)] for row in counts])


class Noise(RecordDataset):
    """Images of noise, each with a square somewhere as its mask; `read` says which were read."""

    def __init__(self, count: int, size: tuple[int, int] = (20, 30)) -> None:
        self.size = size
        self.read: list[str] = []
        records = [
            Record(
                sample_id=f"noise-{k}",
                image=str(k),
                instance=0,
                expression="square " * k,
                split="train",
                category="square",
            )
            for k in range(count)
        ]
        super().__init__(records, fingerprint="noise")

    def image(self, record: Record) -> np.ndarray:
        self.read.append(record.image)
        return np.random.default_rng(int(record.image)).integers(0, 256, (*self.size, 3), dtype=np.uint8)

    def mask(self, record: Record) -> np.ndarray:
        mask = np.zeros(self.size, bool)
        row = int(record.image) % (self.size[0] - 5)
        mask[row : row + 5, row : row + 5] = True
        return mask


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where tiny scenes are drawn once for all tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def tiny_scenes() -> Callable[..., SceneSet]:
    """Sets of a few small scenes; the keywords replace settings."""

    def make(**changes: object) -> SceneSet:
        settings = {
            "scenes": SceneConfig(size=64, num_objects=(3, 5)),
            "grammar": Grammar(),
            "seed": 5,
            "split": "val",
            "first": 100,
            "count": 6,
            "expressions_per_scene": 3,
        }
        return SceneSet(**settings | changes)  # type: ignore[arg-type]

    return make


@pytest.fixture
def tiny_data(cache: Path) -> Callable[..., AeroScenesDataModule]:
    """Data modules of a few small scenes; the keywords replace settings."""

    def make(**changes: object) -> AeroScenesDataModule:
        settings = {
            "scenes": SceneConfig(size=64, num_objects=(3, 5)),
            "grammar": Grammar(),
            "scenes_per_split": {"train": 6, "val": 3, "test": 4},
            "expressions_per_scene": 3,
            "scene_seed": 5,
            "cache": cache,
            "tokenizer": letter_counts,
            "batch_size": 4,
            "eval_batch_size": 4,
            "image_size": 64,
            "seed": 1,
        }
        return AeroScenesDataModule(**settings | changes)  # type: ignore[arg-type]

    return make
