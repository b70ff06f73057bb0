"""Procedural scenes, drawn once into memory-mapped arrays that all processes of a machine share."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sbanet.data.grammar import Grammar
from sbanet.data.mapped import in_processes, make_once, reserve
from sbanet.data.records import Record
from sbanet.data.scenes import SceneConfig, render_scene
from sbanet.errors import DataError

FORMAT = 2
"""Of the caches: raised whenever the drawing or the grammar changes, so that nobody reads what was made before."""

CHUNK = 64
"""Scenes that a process draws at a time."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneSet:
    """Which scenes, and what is said about them; everything that the cache's content depends on.

    Attributes:
        scenes: what scenes are like.
        grammar: writes their expressions.
        seed: the dataset's seed.
        split: names the records.
        first: number of the first scene; splits use disjoint ranges.
        count: number of scenes.
        expressions_per_scene: at most so many records a scene.
    """

    scenes: SceneConfig
    grammar: Grammar
    seed: int
    split: str
    first: int
    count: int
    expressions_per_scene: int

    @property
    def fingerprint(self) -> str:
        """A hash of all settings: equal fingerprints, equal bytes."""
        settings = {
            "format": FORMAT,
            "scenes": asdict(self.scenes),
            "grammar": vars(self.grammar) | {"margins": asdict(self.grammar.margins)},
            **{name: getattr(self, name) for name in ("seed", "split", "first", "count", "expressions_per_scene")},
        }
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class CachedScenes:
    """The content of a cache folder.

    Attributes:
        images: (count, H, W, 3) uint8, memory-mapped.
        instance_maps: (count, H, W) uint8, memory-mapped; 0 = background, k = instance k - 1.
        records: the samples; `record.image` is the scene's number.
    """

    images: np.ndarray
    instance_maps: np.ndarray
    records: list[Record]


def cached_scenes(scene_set: SceneSet, root: Path) -> CachedScenes:
    """Open the cache of a scene set; draw it first where it is missing.

    Any number of processes may ask at once: one draws, the others wait. A folder appears only when complete.

    Raises:
        DataError: the folder cannot be written, or is damaged.
    """
    folder = root / f"aeroscenes-{scene_set.split}-{scene_set.fingerprint}"

    def draw(unfinished: Path) -> None:
        logger.info("drawing %d scenes of the %s split into %s", scene_set.count, scene_set.split, folder)
        _draw(scene_set, unfinished)

    try:
        make_once(folder, draw)
    except OSError as error:
        raise DataError(
            f"{folder}: the scenes cannot be cached ({error.strerror or error}); "
            "free some space or set paths.cache to a folder that can be written"
        ) from error
    try:
        return _open(scene_set, folder)
    except (OSError, EOFError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise DataError(f"{folder}: the cache is damaged ({error}); delete the folder, it is drawn anew") from error


def _open(scene_set: SceneSet, folder: Path) -> CachedScenes:
    """Map a complete folder, whose arrays must have the size of the scene set."""
    images = np.load(folder / "images.npy", mmap_mode="r")
    instance_maps = np.load(folder / "instance_maps.npy", mmap_mode="r")
    side = scene_set.scenes.size
    if images.shape != (scene_set.count, side, side, 3) or instance_maps.shape != images.shape[:3]:
        raise ValueError(f"the arrays hold {images.shape} and {instance_maps.shape}")
    rows = pq.read_table(folder / "records.parquet").to_pylist()
    return CachedScenes(images, instance_maps, [Record(**row | {"tags": tuple(row["tags"])}) for row in rows])


def draw_scene(scene_set: SceneSet, number: int) -> tuple[np.ndarray, np.ndarray, list[Record]]:
    """One scene with its records: image (H, W, 3), instance map (H, W), and what is said about it."""
    scene = render_scene(scene_set.seed, number, scene_set.scenes)
    rng = np.random.Generator(np.random.PCG64([scene_set.seed, number, 1]))
    size = scene_set.scenes.size
    said = scene_set.grammar.sample(scene.instances, size, size, rng, scene_set.expressions_per_scene)
    records = [
        Record(
            sample_id=f"{scene_set.split}-{number}-{position}",
            image=str(number),
            instance=expression.referent,
            expression=expression.text,
            split=scene_set.split,
            category=scene.instances[expression.referent].category,
            tags=expression.skills,
        )
        for position, expression in enumerate(said)
    ]
    return scene.image, scene.instance_map, records


def _draw(scene_set: SceneSet, folder: Path) -> None:
    """Fill an empty folder."""
    size = scene_set.scenes.size
    reserve(folder / "images.npy", (scene_set.count, size, size, 3))
    reserve(folder / "instance_maps.npy", (scene_set.count, size, size))
    chunks = in_processes(partial(_draw_chunk, scene_set, folder), range(0, scene_set.count, CHUNK))
    rows = [row for chunk in chunks for row in chunk]
    pq.write_table(pa.Table.from_pylist(rows), folder / "records.parquet")


def _draw_chunk(scene_set: SceneSet, folder: Path, start: int) -> list[dict[str, Any]]:
    cv2.setNumThreads(0)
    images = np.load(folder / "images.npy", mmap_mode="r+")
    instance_maps = np.load(folder / "instance_maps.npy", mmap_mode="r+")
    rows = []
    for position in range(start, min(start + CHUNK, scene_set.count)):
        image, instance_map, records = draw_scene(scene_set, scene_set.first + position)
        images[position], instance_maps[position] = image, instance_map
        rows += [asdict(record) for record in records]
    images.flush()
    instance_maps.flush()
    return rows
