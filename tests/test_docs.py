"""The pages: commands that compose, and one for each dataset."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from sbanet.config import compose, config_dir
from sbanet.dataset import KEYS

PAGES = sorted((Path(__file__).parents[1] / "docs" / "datasets").glob("*.md"))


def test_every_dataset_has_a_page() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for config in (config_dir() / "data").glob("*.yaml"):
        assert config.stem == "aeroscenes" or re.search(rf"data={config.stem}\b|`{config.stem}`", text), config.stem


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_its_commands_compose(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    commands = re.findall(r"^sbanet-data (.+?)(?: {2,}#.*)?$", text, re.MULTILINE)
    assert any(command.startswith("check ") for command in commands)
    assert "Licence" in text
    assert "Layout" in text or page.stem == "open"
    for command in commands:
        action, *arguments = shlex.split(command)
        compose("train", [one for one in arguments if one.partition("=")[0] not in KEYS[action]])


def test_the_page_of_wandb_has_what_there_is(tiny_run: Path) -> None:
    text = (PAGES[0].parents[1] / "wandb.md").read_text(encoding="utf-8")
    for command in re.findall(r"^sbanet-train (?:-m )?(.+)$", text, re.MULTILINE):
        compose("train", [one for one in shlex.split(command) if "," not in one])
    keys = compose("train", ["logger=wandb"]).logger.wandb
    assert set(re.findall(r"`logger\.wandb\.(\w+)`", text)) <= set(map(str, keys))
    curves = (tiny_run / "metrics.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    scores = json.loads((tiny_run / "run.json").read_text(encoding="utf-8"))["scores"]
    named = set(re.findall(r"`((?:best/|train/|val/|test/|optim/)[^`]+)`", text)) - {"val/samples", "test/samples"}
    assert named
    assert named <= {*curves, *scores}


def test_the_page_of_a_cluster_has_what_there_is() -> None:
    docs = PAGES[0].parents[1]
    text = (docs / "cluster.md").read_text(encoding="utf-8").replace("\\\n", " ").replace("$SHARED", "/shared")
    commands = re.findall(
        r"^(?:sbanet-(?:train|check)|torchrun .* -m sbanet\.train) +(?:-m )?(.+)$", text, re.MULTILINE
    )
    assert len(commands) == 4
    for command in commands:
        compose("train", [one for one in shlex.split(command) if not re.match(r"\w+=.*,", one)], with_hydra=True)
    launcher = compose("train", ["hydra/launcher=slurm"], with_hydra=True).hydra.launcher
    table = text.partition("| key | SLURM |")[2].partition("\n\n")[0]
    named = [key for row in table.splitlines()[2:] for key in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert set(named) <= set(map(str, launcher))
    for key in ("timeout_min", "signal_delay_s", "cpus_per_task", "array_parallelism"):
        row = next(row for row in table.splitlines() if f"`{key}`" in row)
        assert str(launcher[key]) in row.split("|")[3]


def test_the_batch_script_asks_for_what_the_launcher_does() -> None:
    script = (PAGES[0].parents[1] / "sweep.sbatch").read_text(encoding="utf-8")
    launcher = compose("train", ["hydra/launcher=slurm"], with_hydra=True).hydra.launcher
    asked = dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)", script, re.MULTILINE))
    assert asked["signal"] == f"USR2@{launcher.signal_delay_s}"
    assert asked["time"] == f"{launcher.timeout_min // 60}:00:00"
    assert asked["cpus-per-task"] == str(launcher.cpus_per_task)
    assert asked["ntasks-per-node"] == asked["gpus-per-node"]
