"""Three hundred damaged datasets: each ends in one line that says what to do, or is listed by the check."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hydra.utils import instantiate

from sbanet.config import compose
from sbanet.data.checks import check_annotations, check_pixels
from sbanet.data.open import convert
from sbanet.data.readers.plain_pickle import read_plain_pickle
from sbanet.errors import DataError
from tests.tiny_coco import write_coco
from tests.tiny_phrases import write_phrases
from tests.tiny_refer import write_refer

CASES = 300
COUNTS = {"train": 2, "val": 1, "test": 1}
Damage = Callable[[Path, np.random.Generator], None]


def some(rng: np.random.Generator, paths: list[Path]) -> Path:
    return sorted(paths)[rng.integers(len(paths))]


def an_image(root: Path, rng: np.random.Generator) -> Path:
    return some(rng, [path for path in root.rglob("*") if path.suffix in (".jpg", ".png", ".tif")])


def cut(root: Path, rng: np.random.Generator) -> None:
    path = an_image(root, rng)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * rng.uniform(0.02, 0.6))])


def emptied(root: Path, rng: np.random.Generator) -> None:
    an_image(root, rng).write_bytes(b"")


def removed(root: Path, rng: np.random.Generator) -> None:
    an_image(root, rng).unlink()


def noise(root: Path, rng: np.random.Generator) -> None:
    an_image(root, rng).write_bytes(rng.bytes(int(rng.integers(1, 500))))


def resized(root: Path, rng: np.random.Generator) -> None:
    cv2.imwrite(str(an_image(root, rng)), np.full(rng.integers(60, 90, 2), 255, np.uint8))


def wide(root: Path, rng: np.random.Generator) -> None:
    cv2.imwrite(str(an_image(root, rng)), np.full((3, 20_000), 255, np.uint8))


def a_folder(root: Path, rng: np.random.Generator) -> None:
    path = an_image(root, rng)
    path.unlink()
    path.mkdir()


def annotation_file(root: Path, rng: np.random.Generator) -> Path:
    return some(rng, [path for path in root.rglob("*") if path.suffix in (".p", ".json", ".txt", ".parquet")])


def annotations_emptied(root: Path, rng: np.random.Generator) -> None:
    annotation_file(root, rng).write_bytes(b"")


def annotations_cut(root: Path, rng: np.random.Generator) -> None:
    path = some(rng, [path for path in root.rglob("*") if path.suffix in (".p", ".json", ".parquet")])
    content = path.read_bytes()
    path.write_bytes(content[: int(rng.integers(1, len(content) - 1))])


def annotations_removed(root: Path, rng: np.random.Generator) -> None:
    annotation_file(root, rng).unlink()


def annotations_binary(root: Path, rng: np.random.Generator) -> None:
    annotation_file(root, rng).write_bytes(b"\xff\xfe\0" + rng.bytes(40))


def edited(change: Callable[[dict[str, Any], np.random.Generator], None]) -> Damage:
    """Change one annotation of the json."""

    def damage(root: Path, rng: np.random.Generator) -> None:
        path = some(rng, list(root.rglob("*.json")))
        content = json.loads(path.read_text())
        change(content["annotations"][rng.integers(len(content["annotations"]))], rng)
        path.write_text(json.dumps(content))

    return damage


def spoken(change: Callable[[list[dict[str, Any]], int], Any]) -> Damage:
    """Change one referent of the pickle."""

    def damage(root: Path, rng: np.random.Generator) -> None:
        path = root / "rrsisd" / "refs(unc).p"
        entries = read_plain_pickle(path)
        change(entries, int(rng.integers(len(entries))))
        path.write_bytes(pickle.dumps(entries))

    return damage


def a_global(root: Path, rng: np.random.Generator) -> None:
    harm = [os.system, Path("x"), np.float64(3), Exception("x")][rng.integers(4)]
    (root / "rrsisd" / "refs(unc).p").write_bytes(pickle.dumps([harm]))


def lines(change: Callable[[list[bytes], int], Any]) -> Damage:
    """Change one line of a file of phrases."""

    def damage(root: Path, rng: np.random.Generator) -> None:
        path = some(rng, list(root.glob("*.txt")))
        content = path.read_bytes().splitlines()
        change(content, int(rng.integers(len(content))))
        path.write_bytes(b"\n".join(content))

    return damage


def set_line(text: bytes) -> Callable[[list[bytes], int], Any]:
    return lambda content, k: content.__setitem__(k, content[k].split()[0] + text)


FILES = [
    cut, emptied, removed, noise, resized, wide, a_folder,
    annotations_emptied, annotations_cut, annotations_removed, annotations_binary,
]  # fmt: skip
SEGMENTS = [
    edited(lambda one, rng: one.update(segmentation=[[float("nan")] * 6])),
    edited(lambda one, rng: one.update(segmentation=[[1.0, 2.0, 1e300, 4.0, 5.0, 6.0]])),
    edited(lambda one, rng: one.update(segmentation=[[1, 2, 3]])),
    edited(lambda one, rng: one.update(segmentation={"size": [7, 9], "counts": [63]})),
    edited(lambda one, rng: one.update(segmentation={"size": [40, 56], "counts": "~~"})),
    edited(lambda one, rng: one.update(segmentation={"size": [48, 64], "counts": "0"})),
    edited(lambda one, rng: one.update(segmentation=None)),
    edited(lambda one, rng: one.pop("segmentation")),
    edited(lambda one, rng: one.update(image_id=1000)),
]
REFERENTS = [
    a_global,
    spoken(lambda entries, k: entries.append(entries[k])),
    spoken(lambda entries, k: entries[k].pop("sentences")),
    spoken(lambda entries, k: entries[k].update(sentences=[{"raw": " "}])),
    spoken(lambda entries, k: entries[k].update(sentences=[])),
    spoken(lambda entries, k: entries[k].update(sentences=[{}])),
    spoken(lambda entries, k: entries[k].update(ann_id=999)),
    spoken(lambda entries, k: entries[k].update(ann_id=None)),
    spoken(lambda entries, k: entries.__setitem__(k, None)),
]
PHRASES = [
    lines(lambda content, k: content.pop(k)),
    lines(set_line(b"")),
    lines(set_line(" caf\u00e9".encode("latin-1"))),
    lines(set_line(b" a\0road")),
    lines(lambda content, k: content.__setitem__(k, b"999 a road")),
]
DAMAGES: dict[str, list[Damage]] = {
    "rrsisd": [*FILES, *SEGMENTS, *REFERENTS],
    "refsegrs": [*(damage for damage in FILES if damage is not annotations_cut), *PHRASES],  # fewer lines are counted
    "instances": [*FILES, *SEGMENTS, edited(lambda one, rng: one.update(category_id=99))],
    "open": FILES,
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A sound dataset of every layout."""
    folder = tmp_path_factory.mktemp("sound")
    write_refer(folder / "rrsisd", COUNTS)
    write_phrases(folder / "refsegrs", COUNTS)
    write_coco(folder / "instances", {"train": 2, "val": 1})
    data = module("rrsisd", folder / "rrsisd")
    convert({split: data.dataset(split) for split in data.splits}, folder / "open", "copy")
    return {name: folder / name for name in DAMAGES}


def module(name: str, root: Path) -> Any:
    return instantiate(compose("train", [f"data={name}", f"data.root={root}"]).data, tokenizer=None)


def outcome(name: str, root: Path) -> list[str]:
    """The lines that a user sees: of a refusal, or of the check."""
    published = {"train": 2, "val": 1, "test": 1} if name != "instances" else {}
    try:
        data = module(name, root)
        datasets = {split: data.dataset(split) for split in data.splits}
    except DataError as error:
        return [str(error)]
    found = [*check_annotations(datasets, published), *check_pixels(datasets)]
    return [str(finding) for finding in found if finding.severity == "numbers"]


@pytest.mark.slow
@pytest.mark.parametrize("name", DAMAGES)
def test_every_damage_is_told(name: str, sound: dict[str, Path], tmp_path: Path) -> None:
    assert outcome(name, sound[name]) == []
    untold = []
    for case in range(CASES // len(DAMAGES)):
        rng = np.random.default_rng([case, sorted(DAMAGES).index(name)])
        damages = DAMAGES[name]
        damage = damages[case % len(damages)]
        root = tmp_path / str(case)
        shutil.copytree(sound[name], root)
        damage(root, rng)
        told = outcome(name, root)
        if not told or any("\n" in line or len(line) < 30 for line in told):
            untold.append((case, damages.index(damage), told))
    assert untold == []
