"""A generator of run folders: what a training and an evaluation leave behind, without either."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from pycocotools import mask as coco

from sbanet.analysis.runs import Run
from sbanet.files import image_file_name

SIZE = 96
COLOURS = {"red": (200, 60, 50), "blue": (60, 80, 200), "white": (235, 235, 225), "yellow": (225, 200, 60)}
CATEGORIES = ("ship", "vehicle", "storage tank", "ground track field", "airplane")
SKILLS = ("category", "colour", "size", "shape", "position", "relation", "comparison", "ordinal")
CORNERS = {"upper left": (0, 0), "upper right": (0, 1), "lower left": (1, 0), "lower right": (1, 1)}


def rle(mask: np.ndarray) -> str:
    return coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"].decode()


def draw_scene(number: int) -> tuple[np.ndarray, list[dict]]:
    """Four ellipses on a noisy ground, one a quarter; the same for every run."""
    rng = np.random.default_rng(number)
    ground = np.array([90, 110, 80]) + rng.normal(0, 12, (SIZE, SIZE, 3))
    image = cv2.GaussianBlur(np.clip(ground, 0, 255).astype(np.uint8), (5, 5), 0)
    objects = []
    for corner, (row, column) in CORNERS.items():
        colour = str(rng.choice(list(COLOURS)))
        mask = np.zeros((SIZE, SIZE), np.uint8)
        half = SIZE // 2
        centre = (
            column * half + int(rng.integers(14, half - 14)),
            row * half + int(rng.integers(14, half - 14)),
        )
        axes = (int(rng.integers(3, 13)), int(rng.integers(2, 9)))
        cv2.ellipse(mask, centre, axes, float(rng.integers(0, 180)), 0, 360, 1, -1)
        image[mask > 0] = COLOURS[colour]
        category = str(rng.choice(CATEGORIES))
        objects.append({"mask": mask > 0, "text": f"the {colour} {category} on the {corner}", "category": category})
    return image, objects


def predict(objects: list[dict], meant: int, skill: float, rng: np.random.Generator) -> np.ndarray:
    """The meant object, loosely; or another one; or nothing: the better the skill, the more of the first."""
    luck = rng.random()
    if luck > skill + 0.6 * (1 - skill):
        return np.zeros((SIZE, SIZE), bool)
    mask = objects[meant if luck < skill else (meant + 1) % 4]["mask"]
    shift = tuple(int(s) for s in rng.integers(-2, 3, 2))
    moved = np.roll(mask, shift, axis=(0, 1))
    return cv2.dilate(moved.astype(np.uint8), np.ones((3, 3))) > 0 if rng.random() < 0.5 else moved


def prediction_rows(skill: float, seed: int, scenes: int, wrong_sentence: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng([seed, int(wrong_sentence)])
    rows = []
    for number in range(scenes):
        _, objects = draw_scene(number)
        for index in range(4):
            spoken = (index + 1) % 4 if wrong_sentence else index
            target, prediction = objects[index]["mask"], predict(objects, spoken, skill, rng)
            inter, union = int((target & prediction).sum()), int((target | prediction).sum())
            said = np.random.default_rng([number, spoken])  # of the sentence, and so the same in every run
            tags = said.choice(SKILLS, size=int(said.integers(1, 4)), replace=False).tolist()
            rows.append(
                {
                    "sample_id": f"scene{number}-{index}", "image": str(number),
                    "expression": objects[spoken]["text"], "category": objects[index]["category"],
                    "tags": tags, "split": "test", "dataset": "aeroscenes",
                    "height": SIZE, "width": SIZE, "target_pixels": int(target.sum()),
                    "network_I": inter, "network_U": union, "native_I": inter, "native_U": union,
                    "target_rle": rle(target), "prediction_rle": rle(prediction),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def write_run(
    folder: Path,
    *,
    name: str = "sbanet",
    skill: float = 0.6,
    seed: int = 1,
    scenes: int = 12,
    control: bool = False,
) -> Run:
    """A finished run: facts, curves, predictions on test and thumbnails of two thirds of the scenes."""
    (folder / "predictions" / "images").mkdir(parents=True)
    facts = {
        "schema": 1, "experiment": f"aeroscenes_{name}", "run_id": f"seed{seed}", "name": name,
        "config": {"model": {"alignment": {"_target_": f"sbanet.models.alignment.{name}", "num_queries": 16}},
                   "data": {"image_size": SIZE, "seed": seed}, "seed": seed},
        "config_hash": "0123abcd", "git_commit": "f00dfeed", "versions": {"torch": "2.9", "sbanet": "0.1.0"},
        "dataset": {"name": "aeroscenes", "fingerprint": {"train": "a1b2c3", "test": "d4e5f6"}},
        "seed": seed, "status": "finished",
        "parameters": 3_012_345 - 400_000 * (name != "sbanet"), "multiply_adds": 1.2e9,
        "train_images_per_second": 110.0, "started": "2025-01-01T10:00:00", "finished": "2025-01-01T10:05:00",
        "seconds": 300.0,
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(facts))
    rng = np.random.default_rng(seed)
    lines = ["epoch,step,train/loss,optim/lr,val/mIoU,val/oIoU"]
    for step in range(10, 401, 10):
        loss = 0.3 + 0.9 * np.exp(-step / 120) / (0.5 + skill) + rng.normal(0, 0.02)
        lines.append(f"{step // 100},{step},{loss:.4f},{5e-4 * (1 - step / 401):.6f},,")
        if step % 50 == 0:
            score = skill * 0.7 * (1 - np.exp(-step / 150)) + rng.normal(0, 0.005)
            lines.append(f"{step // 100},{step},,,{score:.4f},{score + 0.08:.4f}")
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n")
    prediction_rows(skill, seed, scenes).to_parquet(folder / "predictions" / "test.parquet")
    if control:
        frame = prediction_rows(skill, seed, scenes, wrong_sentence=True)
        frame.to_parquet(folder / "predictions" / "test_wrong_sentence.parquet")
    for number in range(scenes):
        if number % 3 < 2:
            path = folder / "predictions" / "images" / f"{image_file_name(str(number))}.jpg"
            cv2.imwrite(str(path), cv2.cvtColor(draw_scene(number)[0], cv2.COLOR_RGB2BGR))
    return Run(folder)


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    """`make_run("runs/a", name="sbanet", skill=0.6)` -> `Run`."""
    return lambda folder="runs/a", **options: write_run(tmp_path / folder, **options)


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Two runs to compare, shared: read only."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        "sbanet": write_run(folder / "sbanet", name="sbanet", skill=0.75, control=True),
        "pwam": write_run(folder / "pwam", name="pwam", skill=0.45, seed=2),
    }
