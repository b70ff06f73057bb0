"""The drawn scenes: once, whole, and the same for everybody."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sbanet.data import scene_cache
from sbanet.data.grammar import STANDARD_MIX, Grammar
from sbanet.data.predicates import Margins
from sbanet.data.scene_cache import FORMAT, cached_scenes, draw_scene
from sbanet.data.scenes import SceneConfig
from sbanet.errors import DataError

OF_THIS_FORMAT = (2, "2785b95f4e232ef75a82a263b7e3363d54c7c4d53f00612419131f4a58bd717a")
"""The format, and the digest of what its first scenes hold at that format."""

SCRIPT = """
import hashlib, logging, pathlib, sys, time
from sbanet.data import scene_cache
from sbanet.data.grammar import Grammar
from sbanet.data.scenes import SceneConfig

logging.basicConfig(level=logging.INFO)
root, action = pathlib.Path(sys.argv[1]), sys.argv[2]
scene_set = scene_cache.SceneSet(
    scenes=SceneConfig(size=64, num_objects=(3, 5)), grammar=Grammar(), seed=5, split="val", first=100, count=130,
    expressions_per_scene=3,
)
if action == "fingerprint":
    print(scene_set.fingerprint)
    sys.exit()
if action == "stall":
    def stall(*_):
        (root / "stalled").touch()
        time.sleep(600)
    scene_cache.draw_scene = stall
if action == "wait":
    (root / f"ready-{sys.argv[3]}").touch()
    while not (root / "go").exists():
        time.sleep(0.01)
scenes = scene_cache.cached_scenes(scene_set, root)
print(hashlib.sha256(scenes.images.tobytes() + repr(scenes.records).encode()).hexdigest())
"""


def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.strip(), err


def wait_for(*paths: Path) -> None:
    deadline = time.monotonic() + 60
    while not all(path.exists() for path in paths):
        assert time.monotonic() < deadline, f"no {paths}"
        time.sleep(0.02)


def folders(root: Path) -> list[str]:
    """What is in a cache but the locks."""
    return sorted(path.name for path in root.iterdir() if path.is_dir())


def test_the_cache_holds_what_is_drawn(tiny_scenes, cache):
    scene_set = tiny_scenes()
    scenes = cached_scenes(scene_set, cache)
    expected = []
    for position in range(scene_set.count):
        image, instance_map, records = draw_scene(scene_set, scene_set.first + position)
        assert np.array_equal(scenes.images[position], image)
        assert np.array_equal(scenes.instance_maps[position], instance_map)
        expected += records
    assert scenes.records == expected
    assert isinstance(scenes.images, np.memmap)
    assert not scenes.images.flags.writeable


def test_more_scenes_than_a_chunk_lie_in_order(tiny_scenes, tmp_path, monkeypatch):
    monkeypatch.setattr(scene_cache, "CHUNK", 4)
    scene_set = tiny_scenes(count=11)
    scenes = cached_scenes(scene_set, tmp_path)
    numbers = [int(record.image) for record in scenes.records]
    assert numbers == sorted(numbers)
    assert set(numbers) <= set(range(100, 111))
    assert np.array_equal(scenes.images[9], draw_scene(scene_set, 109)[0])


def test_the_same_set_is_drawn_once(tiny_scenes, cache, monkeypatch):
    scenes = cached_scenes(tiny_scenes(), cache)
    monkeypatch.setattr(scene_cache, "_draw", lambda *_: pytest.fail("drawn again"))
    assert cached_scenes(tiny_scenes(), cache).records == scenes.records


def test_caches_of_this_format_hold_these_scenes():
    """Where this fails, old caches are no longer what would be drawn: raise FORMAT, and put the new digest here."""
    digest = hashlib.sha256()
    scene_set = scene_cache.SceneSet(
        scenes=SceneConfig(),
        grammar=Grammar(),
        seed=0,
        split="train",
        first=0,
        count=40,
        expressions_per_scene=4,
    )
    for number in range(scene_set.count):
        image, instance_map, records = draw_scene(scene_set, number)
        digest.update(image.tobytes() + instance_map.tobytes() + repr([asdict(r) for r in records]).encode())
    assert (FORMAT, digest.hexdigest()) == OF_THIS_FORMAT


def test_two_processes_that_ask_at_once_draw_once(tmp_path):
    processes = [start(tmp_path, "wait", k) for k in range(2)]
    wait_for(*(tmp_path / f"ready-{k}" for k in range(2)))
    (tmp_path / "go").touch()
    outputs = [finish(process) for process in processes]
    assert outputs[0][0] == outputs[1][0]
    assert sum(err.count("drawing 130 scenes") for _, err in outputs) == 1
    assert len(folders(tmp_path)) == 1


def test_a_process_killed_half_way_leaves_nothing_that_is_taken_for_whole(tmp_path):
    killed = start(tmp_path, "stall")
    wait_for(tmp_path / "stalled")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert [name for name in folders(tmp_path) if not name.startswith(".")] == []
    # the next one neither waits for the orphans of the first nor trips over what it left
    _, err = finish(start(tmp_path, "draw"))
    assert err.count("drawing 130 scenes") == 1
    assert len(folders(tmp_path)) == 1
    assert not folders(tmp_path)[0].startswith(".")


def test_an_error_while_drawing_leaves_no_folder(tiny_scenes, tmp_path, monkeypatch):
    def fail_at_the_third(scene_set, number):
        if number == 102:
            raise ZeroDivisionError("the third scene")
        return draw_scene(scene_set, number)

    monkeypatch.setattr(scene_cache, "draw_scene", fail_at_the_third)
    with pytest.raises(ZeroDivisionError, match="the third scene"):
        cached_scenes(tiny_scenes(), tmp_path)
    assert folders(tmp_path) == []
    monkeypatch.undo()
    assert len(cached_scenes(tiny_scenes(), tmp_path).images) == 6


def test_a_full_disk_is_one_clear_error(tiny_scenes, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DataError, match=r"cannot be cached \(No space left on device\); free some space or set paths"):
        cached_scenes(tiny_scenes(), tmp_path)
    assert folders(tmp_path) == []


@pytest.mark.parametrize("root", ["file", "file/below", "locked"])
def test_a_root_that_cannot_be_written_is_one_clear_error(tiny_scenes, tmp_path, root, monkeypatch):
    (tmp_path / "file").touch()
    if root == "locked":  # as root, nothing is: the error of the system is put in its place

        def refuse(*_, **__):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "exists", refuse)
    with pytest.raises(DataError, match=r"aeroscenes-val-\w+: the scenes cannot be cached .*set paths.cache") as caught:
        cached_scenes(tiny_scenes(), tmp_path / root)
    assert "\n" not in str(caught.value)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _scribble(path: Path) -> None:
    path.write_bytes(b"\x00not what it was" * 100)


@pytest.mark.parametrize("damage", [_truncate, _empty, _scribble, Path.unlink])
@pytest.mark.parametrize("name", ["images.npy", "instance_maps.npy", "records.parquet"])
def test_a_damaged_file_is_named_with_its_remedy(tiny_scenes, cache, tmp_path, name, damage):
    folder = copy_of_cache(tiny_scenes(), cache, tmp_path)
    damage(folder / name)
    with pytest.raises(DataError, match=rf"{folder}: the cache is damaged .*; delete the folder, it is drawn anew"):
        cached_scenes(tiny_scenes(), tmp_path)


def test_a_file_of_another_cache_is_damage(tiny_scenes, cache, tmp_path):
    folder = copy_of_cache(tiny_scenes(), cache, tmp_path)
    np.save(folder / "images.npy", np.zeros((6, 32, 32, 3), np.uint8))
    np.save(folder / "instance_maps.npy", np.zeros((6, 32, 32), np.uint8))
    with pytest.raises(DataError, match="the cache is damaged"):
        cached_scenes(tiny_scenes(), tmp_path)
    folder = copy_of_cache(tiny_scenes(), cache, tmp_path / "second")
    pq.write_table(pa.table({"sample_id": ["val-1-1"]}), folder / "records.parquet")
    with pytest.raises(DataError, match="the cache is damaged"):
        cached_scenes(tiny_scenes(), tmp_path / "second")


def copy_of_cache(scene_set: scene_cache.SceneSet, cache: Path, root: Path) -> Path:
    cached_scenes(scene_set, cache)
    folder = root / f"aeroscenes-val-{scene_set.fingerprint}"
    folder.mkdir(parents=True)
    for path in (cache / folder.name).iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


SCENE_CHANGES = {
    "size": 96,
    "num_objects": (3, 6),
    "group_size": (2, 4),
    "singleton_share": 0.5,
    "category_weights": {"ship": 3.0},
    "category_lengths": {"ship": (0.2, 0.3)},
    "size_scale": 1.1,
    "size_skew": 0.2,
    "terrain_weights": {"coast": 0.9},
    "gap": 0.02,
    "attempts": 10,
    "houses": (0, 1),
    "texture": 4,
    "shadow": 0.1,
    "shadow_reach": (0.1, 0.2),
    "noise": 1.0,
    "blur": (0.1, 0.2),
    "colour_cast": 1,
    "brightness": (1.0, 1.0),
    "min_colour_share": 0.3,
}
MARGIN_CHANGES = {
    "position": 0.05,
    "size_tie": 1.3,
    "size_ratio": 1.8,
    "size_extreme": 4.0,
    "relation_angle": 5.0,
    "relation_distance": 0.1,
    "cardinal_reach": 70.0,
    "diagonal_reach": 50.0,
    "similar": 1.2,
    "little_from": 1.4,
    "little_to": 2.1,
    "much": 3.5,
    "superlative": 1.4,
    "rank_gap": 0.06,
}


def test_the_fingerprint_depends_on_every_setting(tiny_scenes):
    assert set(SCENE_CHANGES) == {field.name for field in fields(SceneConfig)}
    assert set(MARGIN_CHANGES) == {field.name for field in fields(Margins)}
    base = {"size": 64, "num_objects": (3, 5)}
    variants = [
        *(tiny_scenes(scenes=SceneConfig(**base | {name: value})) for name, value in SCENE_CHANGES.items()),
        *(tiny_scenes(grammar=Grammar(margins=Margins(**{name: value}))) for name, value in MARGIN_CHANGES.items()),
        *(tiny_scenes(grammar=Grammar(mix=STANDARD_MIX | {skill: 0.5})) for skill in STANDARD_MIX),
        tiny_scenes(grammar=Grammar(max_modifiers=2)),
        tiny_scenes(grammar=Grammar(max_landmark_modifiers=2)),
        tiny_scenes(seed=6),
        tiny_scenes(split="test"),
        tiny_scenes(first=101),
        tiny_scenes(count=7),
        tiny_scenes(expressions_per_scene=4),
    ]
    prints = [scene_set.fingerprint for scene_set in (tiny_scenes(), *variants)]
    assert len(set(prints)) == len(prints)


def test_the_fingerprint_is_that_of_every_process(tiny_scenes):
    expected = tiny_scenes(count=130).fingerprint
    for hash_seed in ("0", "1"):
        assert finish(start("-", "fingerprint", PYTHONHASHSEED=hash_seed))[0] == expected


def test_equal_settings_in_other_words_have_one_fingerprint(tiny_scenes):
    reordered = Grammar(mix=dict(reversed(STANDARD_MIX.items())))
    assert tiny_scenes(grammar=reordered).fingerprint == tiny_scenes().fingerprint
    partial = SceneConfig(size=64, num_objects=(3, 5), category_weights={"ship": 2.0})
    assert tiny_scenes(scenes=partial).fingerprint == tiny_scenes().fingerprint
