"""Configs differ where results would, and nowhere else."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from sbanet.training.run_config import config_hash, differences

CONFIG: dict[str, Any] = {
    "seed": 1,
    "model": {"backbone": {"_target_": "x.Swin", "depths": [2, 2]}, "positions": None},
    "optim": {"lr": 1e-3, "betas": [0.9, 0.999]},
    "data": {"root": "/data/a", "images": "/data/a/images", "num_workers": 0},
    "trainer": {
        "devices": 1,
        "accelerator": "cpu",
        "num_nodes": 1,
        "strategy": "auto",
        "precision": "32-true",
    },
    "paths": {"runs": "runs", "run": "runs/x/seed-1", "cache": "/home/a/.cache"},
    "callbacks": {"pictures": {"dirpath": "runs/x/seed-1/pictures", "count": 8}},
    "logger": {"csv": {"save_dir": "runs/x/seed-1"}},
    "resume": True,
    "weird": [float("nan"), {"at": "/data/a/list.txt"}],
}
DATASET = {"name": "drawn", "fingerprint": {"train": "12", "val": "ab"}}


def changed(**values: Any) -> dict[str, Any]:
    """The config with some keys (dots as double underscores) set."""
    config = copy.deepcopy(CONFIG)
    for key, value in values.items():
        *parents, name = key.split("__")
        node = config
        for parent in parents:
            node = node[parent]
        node[name] = value
    return config


def compare(config: dict[str, Any], dataset: dict[str, Any] = DATASET) -> dict[str, tuple[str, str]]:
    return differences({"config": CONFIG, "dataset": DATASET}, {"config": config, "dataset": dataset})


@pytest.mark.parametrize(
    "config",
    [
        changed(),
        dict(reversed(CONFIG.items())),
        changed(optim__betas=(0.9, 0.999)),
        changed(data__num_workers=8, resume="force", logger={}),
        changed(trainer__devices=[0, 1], trainer__accelerator="gpu"),
        changed(trainer__num_nodes=4, trainer__strategy="ddp"),
        changed(
            paths={"runs": "/scratch", "run": "/scratch/x/seed-1", "cache": "/var/cache"},
            callbacks__pictures__dirpath="/scratch/x/seed-1/pictures",
        ),
        changed(
            data__root="/mnt/b/",
            data__images="/mnt/b/images",
            weird=[float("nan"), {"at": "/mnt/b/list.txt"}],
        ),
    ],
    ids=["same", "order", "tuple", "neutral", "devices", "nodes", "other runs folder", "other data folder"],
)
def test_the_same_run_elsewhere(config: dict[str, Any]) -> None:
    assert compare(config) == {}
    assert config_hash(config) == config_hash(CONFIG)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (changed(seed=2), {"seed": ("1", "2")}),
        (changed(optim__lr=0.002), {"optim.lr": ("0.001", "0.002")}),
        (changed(optim__betas=[0.9, 0.95]), {"optim.betas": ("[0.9, 0.999]", "[0.9, 0.95]")}),
        (changed(trainer__precision="bf16-mixed"), {"trainer.precision": ('"32-true"', '"bf16-mixed"')}),
        (
            changed(model__positions={"n": 3}),
            {"model.positions": ("null", "(absent)"), "model.positions.n": ("(absent)", "3")},
        ),
        (changed(new={}), {"new": ("(absent)", "{}")}),
        (changed(data__images="/elsewhere"), {"data.images": ('"<data.root>/images"', '"/elsewhere"')}),
        (changed(data__images="/data/ab"), {"data.images": ('"<data.root>/images"', '"/data/ab"')}),
    ],
)
def test_another_run(config: dict[str, Any], expected: dict[str, tuple[str, str]]) -> None:
    assert compare(config) == expected
    assert config_hash(config) != config_hash(CONFIG)


def test_another_dataset_under_the_same_config() -> None:
    grown = {"name": "drawn", "fingerprint": {"train": "34", "val": "ab"}}
    assert compare(CONFIG, grown) == {"dataset.fingerprint.train": ('"12"', '"34"')}
