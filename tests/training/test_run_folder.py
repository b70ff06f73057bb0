"""A run's facts: written once, compared on every further start, never half there."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sbanet
from sbanet.analysis.runs import Run
from sbanet.errors import ConfigError
from sbanet.training import run_folder
from sbanet.training.run_config import config_hash
from sbanet.training.run_folder import RunFolder, git_commit, versions

CONFIG = {"seed": 1, "optim": {"lr": 1e-3}, "paths": {"runs": "runs"}, "trainer": {"devices": 1}}
FACTS: dict[str, Any] = {
    "experiment": "trial", "name": "sbanet", "run_id": "seed-1", "seed": 1, "parameters": 12,
    "dataset": {"name": "drawn", "fingerprint": {"train": "ab"}}, "multiply_adds": 5e6,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "runs" / "trial" / "seed-1")


def written(folder: RunFolder) -> dict[str, Any]:
    return json.loads((folder.path / "run.json").read_text(encoding="utf-8"))


def test_first_start_notes_what_is_run(folder: RunFolder) -> None:
    facts = folder.start(CONFIG, **FACTS, note="é")
    assert facts == {key: value for key, value in written(folder).items() if key != "seconds"}
    assert {key: facts[key] for key in FACTS} == FACTS
    assert facts["config"] == CONFIG
    assert facts["config_hash"] == config_hash(CONFIG)
    assert facts["versions"] == versions()
    assert facts["git_commit"] == git_commit()
    assert (facts["status"], facts["schema"], facts["note"]) == ("running", 1, "é")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", facts["started"])
    assert len(facts["starts"]) == 1


def test_the_reader_finds_its_facts(folder: RunFolder) -> None:
    folder.start(CONFIG, **FACTS)
    folder.finish("finished", train_images_per_second=110.0)
    run = Run(folder.path)
    assert run.name == "sbanet"
    assert {
        "parameters",
        "multiply_adds",
        "train_images_per_second",
        "finished",
        "seconds",
    } <= run.facts.keys()


def test_facts_are_added_and_the_end_is_noted(folder: RunFolder) -> None:
    folder.start(CONFIG, **FACTS)
    folder.update(best={"val/mIoU": np.float32(0.5)}, where=Path("x"))
    folder.finish("failed", error="out of memory")
    facts = written(folder)
    assert facts["best"] == {"val/mIoU": 0.5}
    assert facts["where"] == "x"
    assert (facts["status"], facts["error"], facts["parameters"]) == ("failed", "out of memory", 12)
    assert facts["finished"] >= facts["started"]


def test_a_later_start_keeps_the_first_and_sums_the_seconds(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(run_folder.time, "monotonic", lambda: clock[0])
    times = iter(["t0", "t1", "t2", "t3"])
    monkeypatch.setattr(run_folder, "_now", lambda: next(times))
    folder.start(CONFIG, **FACTS)
    clock[0] += 7
    folder.finish("interrupted")
    clock[0] += 1000
    elsewhere = CONFIG | {"trainer": {"devices": 4}, "paths": {"runs": "/scratch"}}
    again = RunFolder(folder.path)
    again.start(elsewhere, **FACTS)
    facts = written(again)
    assert facts["status"] == "running"
    assert "finished" not in facts
    assert facts["config"] == CONFIG, "the config of the first start is the run's"
    clock[0] += 3
    again.finish("finished")
    facts = written(again)
    assert (facts["started"], facts["finished"], facts["seconds"]) == ("t0", "t3", 10.0)
    assert [start["time"] for start in facts["starts"]] == ["t0", "t2"]
    RunFolder(folder.path).update(evaluated=True)
    assert written(folder)["seconds"] == 10.0


def test_another_config_is_refused_with_its_keys(folder: RunFolder) -> None:
    folder.start(CONFIG, **FACTS)
    before = (folder.path / "run.json").read_bytes()
    other = {"seed": 2, "optim": {"lr": 1e-4, "warmup": 5}, "paths": {"runs": "elsewhere"}}
    with pytest.raises(ConfigError) as caught:
        RunFolder(folder.path).start(other, **FACTS)
    message = str(caught.value)
    assert "optim.lr 0.001 -> 0.0001, optim.warmup (absent) -> 5, seed 1 -> 2;" in message
    assert "resume=force" in message
    assert "paths" not in message
    assert "devices" not in message
    assert "\n" not in message
    assert (folder.path / "run.json").read_bytes() == before


def test_another_dataset_is_refused(folder: RunFolder) -> None:
    folder.start(CONFIG, **FACTS)
    grown = {"name": "drawn", "fingerprint": {"train": "cd"}}
    with pytest.raises(ConfigError, match=r'dataset\.fingerprint\.train "ab" -> "cd"'):
        folder.start(CONFIG, **FACTS | {"dataset": grown})


def test_force_goes_on_and_says_so(folder: RunFolder) -> None:
    folder.start(CONFIG, **FACTS)
    other = CONFIG | {"seed": 2}
    folder.start(other, **FACTS | {"seed": 2}, resume="force")
    facts = written(folder)
    assert (facts["config"], facts["seed"], facts["config_hash"]) == (other, 2, config_hash(other))
    assert [start["changed"] for start in facts["starts"]] == [{}, {"seed": ["1", "2"]}]
    RunFolder(folder.path).start(other, **FACTS)


def test_a_run_that_is_not_resumed_begins_anew(folder: RunFolder) -> None:
    folder.start(CONFIG, **FACTS)
    folder.update(best=0.5)
    folder.facts_file.write_text("{")
    folder.start(CONFIG | {"seed": 2}, **FACTS, resume=False)
    facts = written(folder)
    assert facts["config"]["seed"] == 2
    assert "best" not in facts
    assert len(facts["starts"]) == 1


@pytest.mark.parametrize("content", ['{"config": {"se', "", "[]", '{"run_id": "x"}', "\x00\x00"])
def test_a_damaged_file_is_one_clear_line(folder: RunFolder, content: str) -> None:
    folder.facts_file.write_text(content)
    for act in (lambda: folder.start(CONFIG, **FACTS), lambda: folder.update(a=1)):
        with pytest.raises(ConfigError, match=r"run\.json: not .*; remove it") as caught:
            act()
        assert "\n" not in str(caught.value)


def test_facts_of_a_run_that_never_started(folder: RunFolder) -> None:
    with pytest.raises(ConfigError, match=r"run\.json: no such file"):
        folder.update(a=1)


def test_a_killed_writer_leaves_the_old_facts(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.start(CONFIG, **FACTS)
    before = (folder.path / "run.json").read_bytes()

    def killed(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        folder.update(status="finished")
    assert [path.name for path in folder.path.iterdir()] == ["run.json"]
    assert (folder.path / "run.json").read_bytes() == before


def test_only_the_first_rank_writes_and_all_compare(tmp_path: Path, second_rank: None) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.start(CONFIG, **FACTS)
    folder.update(a=1)
    folder.finish("finished")
    assert not folder.path.exists()
    folder.path.mkdir()
    content = json.dumps({"config": CONFIG, "dataset": FACTS["dataset"], "started": "t"})
    folder.facts_file.write_text(content)
    folder.start(CONFIG, **FACTS)
    with pytest.raises(ConfigError, match="seed 1 -> 2"):
        folder.start(CONFIG | {"seed": 2}, **FACTS)
    assert folder.facts_file.read_text() == content


def test_a_file_in_the_folders_place(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(ConfigError, match="a file, expected the folder of a run"):
        RunFolder(tmp_path / "run")


def test_parts_lie_where_the_reader_looks(folder: RunFolder) -> None:
    names = [folder.checkpoints, folder.predictions, folder.pictures, folder.metrics, folder.facts_file]
    assert [path.relative_to(folder.path).as_posix() for path in names] == [
        "checkpoints", "predictions", "pictures", "metrics.csv", "run.json",
    ]  # fmt: skip


def make_checkout(folder: Path, *, with_package: bool) -> Path:
    """A repository of one commit with a package folder in it; the package is part of it, or lies about."""

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True)

    package = folder / "src" / "sbanet"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (folder / "README").write_text("")
    git("init")
    git("add", "." if with_package else "README")
    git("commit", "-m", "first")
    return package / "__init__.py"


def test_commit_of_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = make_checkout(tmp_path / "own", with_package=True)
    monkeypatch.setattr(sbanet, "__file__", str(module))
    commit = git_commit()
    assert commit is not None
    assert re.fullmatch("[0-9a-f]{40}", commit)
    module.write_text("changed = True\n")
    assert git_commit() == f"{commit}-dirty"


def test_an_installed_package_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = make_checkout(tmp_path / "of the user", with_package=False)
    monkeypatch.setattr(sbanet, "__file__", str(module))
    assert git_commit() is None
    monkeypatch.setenv("PATH", "")
    assert git_commit() is None
