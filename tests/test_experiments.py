"""Every experiment file says how it is launched, is sound, and runs from the first step to the pictures."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import pandas as pd
import pytest
import yaml

from sbanet.check import check_all
from sbanet.config import compose, config_dir
from sbanet.config.arguments import Arguments
from sbanet.running import train
from sbanet.scores import score

from .tiny_coco import write_coco
from .tiny_phrases import write_phrases
from .tiny_refer import write_refer
from .tiny_run import DATA, NODES, settings_as_they_were
from .tiny_transformers import write_encoder

FOLDER = Path(__file__).resolve().parents[1] / "experiments"
EXPERIMENTS = sorted(path.stem for path in FOLDER.glob("*.yaml"))
SWEEPS = [name for name in EXPERIMENTS if "sweeper:" in (FOLDER / f"{name}.yaml").read_text()]
RECIPES, VARIANTS = (
    sorted(path.stem for path in (config_dir() / group).glob("*.yaml")) for group in ("recipe", "variant")
)
SMALL = ("trainer=cpu", "debug=fast", "trainer.max_epochs=1", "trainer.precision=32-true", "callbacks.progress=null")
"""What makes any experiment cheap; what it is about stays."""


def small(experiment: str, folder: Path, *chosen: str) -> list[str]:
    """The overrides that make an experiment cheap, in place of its large encoders and of data from elsewhere."""
    cfg = compose("train", [f"experiment={experiment}", *chosen])
    overrides = [*SMALL, *(override for override in DATA if "scenes" not in override)]
    if cfg.data._target_.endswith("AeroScenesDataModule"):
        overrides += [override for override in DATA if "scenes" in override]
    elif cfg.data._target_.endswith("ReferDataModule"):
        root = write_refer(folder / "refer", {"train": 8, "val": 4, "test": 8})
        overrides += [f"data.root={root}", "data.num_workers=0", "data.published=null"]
    elif cfg.data._target_.endswith("PhraseFoldersDataModule"):
        root = write_phrases(folder / "phrases", {"train": 8, "val": 4, "test": 8})
        overrides += [f"data.root={root}", "data.num_workers=0", "data.published=null"]
    else:
        root = write_coco(folder / "coco", {"train": 4, "val": 3})
        overrides += [f"data.root={root}", "data.category_share=1", "data.num_workers=0"]
    if cfg.model.aggregator._target_.endswith("CrossScaleInteraction"):
        overrides += ["model.aggregator.grid=[2,2]", "model.aggregator.layout=intended"]
    if cfg.model.backbone.get("pad_before_shift"):
        shallow = "{embed_dim: 16, depths: [1,1,1,1], num_heads: [1,1,2,2], window_size: 4}"
        overrides += ["model.backbone.weights=null", f"model.backbone.architecture={shallow}"]
    elif cfg.model.backbone._target_.endswith("TimmBackbone"):
        overrides += [
            "model.backbone.name=test_convnext", "model.backbone.weights=null", "model.backbone.match_weights=name"
        ]  # fmt: skip
    else:
        overrides += [override for override in NODES if "backbone" in override]
    if cfg.model.text_encoder._target_.endswith("PretrainedTextEncoder"):
        source = write_encoder("bert", folder / "bert")
        overrides += [f"model.text_encoder.source={source}", "model.text_encoder.frozen_layers=0"]
        overrides += [f"model.text_encoder.max_tokens={min(24, cfg.model.text_encoder.max_tokens)}"]
    else:
        overrides += [override for override in NODES if "text_encoder" in override]
    return [f"experiment={experiment}", *chosen, *overrides, "model.decoder.hidden=32"]


def text_of(experiment: str) -> str:
    return (FOLDER / f"{experiment}.yaml").read_text(encoding="utf-8")


def test_the_experiments_are_those_of_the_configs() -> None:
    assert EXPERIMENTS
    assert sorted(path.stem for path in (config_dir() / "experiment").glob("*.yaml")) == EXPERIMENTS


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_file_says_what_it_is_and_how_it_is_launched(experiment: str) -> None:
    package, *rest = text_of(experiment).splitlines()
    assert package == "# @package _global_"
    comment = [line.removeprefix("#") for line in rest[: next(i for i, line in enumerate(rest) if line[:1] != "#")]]
    commands = [line.strip() for line in comment if line.strip().startswith("sbanet-train")]
    assert comment[0].strip()
    assert commands
    assert commands[0].removeprefix("sbanet-train").removeprefix(" -m").split()[0] == f"experiment={experiment}"
    assert yaml.safe_load(text_of(experiment))["name"] == experiment


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_its_launch_command_is_sound(experiment: str) -> None:
    for command in re.findall(r"^#\s+sbanet-train (.*)$", text_of(experiment), re.MULTILINE):
        words = command.split()
        multirun = "-m" in words
        overrides = [word for word in words if word != "-m"]
        composed, problems = check_all(Arguments(overrides=overrides, multirun=multirun))
        assert composed >= 1
        assert problems == []


@pytest.mark.parametrize("experiment", sorted({*EXPERIMENTS} - {*SWEEPS}))
def test_two_steps_leave_a_complete_run(experiment: str, scene_cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / experiment / "default"
    cfg = compose("train", [*small(experiment, tmp_path), f"paths.cache={scene_cache}", f"paths.run={folder}"])
    with settings_as_they_were():
        scores = train(cfg)
    facts = json.loads((folder / "run.json").read_text())
    assert (facts["status"], facts["experiment"], facts["name"]) == ("finished", experiment, experiment)
    assert facts["scores"] == scores
    curves = pd.read_csv(folder / "metrics.csv")
    assert list(curves["train/loss"].dropna().index.map(curves["step"])) == [0, 1]
    assert curves["train/loss"].dropna().between(0, 10).all()
    assert (folder / "checkpoints" / "best.ckpt").is_file()
    assert (folder / "checkpoints" / "last.ckpt").is_file()
    [grid] = (folder / "pictures").glob("*.png")
    assert cv2.imread(str(grid)).std() > 10
    if not cfg.test:
        assert 0 <= scores["best/val/mIoU"] <= 1
        return
    table = pd.read_parquet(folder / "predictions" / "test.parquet")
    assert scores["test/mIoU"] == score(table["network_I"], table["network_U"]).mIoU
    assert len(table) == 8  # two batches of four


@pytest.mark.parametrize("debug", ["fast", "overfit"])
def test_a_first_look_is_validated_within_its_few_batches(debug: str) -> None:
    trainer = compose("train", [f"debug={debug}"]).trainer
    assert "val_check_interval" in (config_dir() / "debug" / f"{debug}.yaml").read_text()
    assert trainer.val_check_interval is None


def test_the_controls_differ_in_what_they_are_about_alone() -> None:
    sbanet, pwam, mute = (
        compose("train", [f"experiment={name}"])
        for name in ("aeroscenes_sbanet", "aeroscenes_pwam", "aeroscenes_no_language")
    )
    assert mute.data.sentence == "none"
    assert sbanet.data.sentence == pwam.data.sentence == "own"
    assert pwam.model.alignment != sbanet.model.alignment
    for other in (pwam, mute):
        for group in ("loss", "optim", "trainer", "callbacks"):
            assert other[group] == sbanet[group]
        assert other.model.backbone == sbanet.model.backbone
        assert other.model.text_encoder == sbanet.model.text_encoder
        assert {key for key in sbanet.data if other.data[key] != sbanet.data[key]} <= {"sentence"}


@pytest.mark.parametrize("sweep", SWEEPS)
def test_a_sweep_trains_three_seeds_by_the_recipe_that_is_asked_for(sweep: str) -> None:
    assert compose("train", [f"experiment={sweep}"], with_hydra=True).hydra.sweeper.params.seed == "1,2,3"
    launched = [line.split() for line in text_of(sweep).splitlines() if line.strip("# ").startswith("sbanet-train -m")]
    assert [any(word == "recipe=rrsisd" for word in words) for words in launched] == [False, True]
    assert compose("train", [f"experiment={sweep}", "recipe=rrsisd"]).data.name == "rrsisd"


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_learns(variant: str, scene_cache: Path, tmp_path: Path) -> None:
    cfg = compose(
        "train",
        [*small("ablation_modules", tmp_path, f"variant={variant}"), f"paths.cache={scene_cache}",
         f"paths.run={tmp_path / 'run'}", "callbacks.progressive=null", "callbacks.pictures=null"],
    )  # fmt: skip
    with settings_as_they_were():
        assert train(cfg)["test/mIoU"] >= 0


def test_the_variants_are_what_they_say() -> None:
    models = {name: compose("train", ["experiment=ablation_modules", f"variant={name}"]).model for name in VARIANTS}
    whole = models.pop("sbanet")
    changed = {name: {key for key in whole if model[key] != whole[key]} for name, model in models.items()}
    assert changed == {
        "no_bam": {"alignment"}, "no_dfs": {"alignment"}, "no_v2l": {"alignment"}, "no_tsca": {"aggregator"},
        "lavt": {"alignment", "aggregator"}, "rmsin": {"alignment", "aggregator", "decoder"},
    }  # fmt: skip
    assert models["no_dfs"].alignment._target_ == models["no_v2l"].alignment._target_ == whole.alignment._target_


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_that_of_an_experiment(recipe: str) -> None:
    assert check_all(Arguments(overrides=["experiment=ablation_modules", f"recipe={recipe}"]))[1] == []
