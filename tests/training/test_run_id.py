"""A run's name: the same for the same run, another one for another."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sbanet.run_identity import changes_results, overrides_in
from sbanet.training.run_id import LONGEST, changes, run_id


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "default"),
        (["seed=7"], "seed-7"),
        (["seed=7", "model/alignment=pwam"], "model__alignment-pwam--seed-7"),
        (["model.alignment.num_queries=32"], "model.alignment.num_queries-32"),
        (["trainer.precision=bf16-mixed"], "trainer.precision-bf16-mixed"),
        (["experiment=ablation", "seed=1"], "seed-1"),
        (["experiment=null"], "default"),
        (["name=demo", "experiment=sbanet"], "experiment-sbanet"),
        (["debug=fast"], "debug-fast"),
    ],
)
def test_names_can_be_read(overrides: list[str], name: str) -> None:
    assert run_id(overrides) == name
    assert run_id([*(overrides_in(name) or []), "name=x"]) == name  # beside a name, an experiment is told too


def test_a_digest_is_not_read_back() -> None:
    assert overrides_in(run_id(["data.size=[1,2]", "seed=1"])) is None
    assert overrides_in("sbanet") is None


@pytest.mark.parametrize(
    "override",
    [
        "trainer=ddp", "+trainer=ddp", "trainer.devices=4", "trainer.devices=[0,1]", "trainer.num_nodes=2",
        "trainer.accelerator=gpu", "trainer.strategy=ddp", "paths=cluster", "paths.runs=/scratch/runs",
        "logger=wandb", "logger.wandb.project=x", "+logger/wandb=online", "~logger.csv", "data.root=/data",
        "data.num_workers=8", "data.cache=elsewhere", "resume=force", "resume=false", "hydra/launcher=slurm",
        "hydra.job.chdir=true", "experiment=ablation", "name=mine",
    ],
)  # fmt: skip
def test_where_a_run_computes_is_left_out(override: str) -> None:
    assert run_id([override]) == "default"
    assert run_id(["seed=1", override]) == "seed-1"


@pytest.mark.parametrize("key", ["loggers", "trainer.precision", "data.roots", "hydration", "data", "trainer"])
def test_neutral_keys_are_whole_words(key: str) -> None:
    assert changes_results(key)


@pytest.mark.parametrize(
    "overrides",
    [
        ["seed=7", "optim.lr=1e-3"],
        ["optim.lr=1e-3", "seed=7"],
        ["+seed=7", "++optim.lr=1e-3"],
        ["seed=1", "optim.lr=0.001", "seed=7"],
        ["seed= 7", "optim.lr=1.0e-3"],
    ],
)
def test_the_same_run_has_the_same_name(overrides: list[str]) -> None:
    assert run_id(overrides) == run_id(["optim.lr=0.001", "seed=7"])


def test_spaces_in_a_list_make_no_other_run() -> None:
    assert run_id(["optim.betas=[0.9, 0.95]"]) == run_id(["optim.betas=[0.9,0.95]"])


DIFFERENT = [
    ["a=b"], ["a=B"], ["a=-b"], ["a='b'"], ["a=[b]"], ["a=[[b]]"], ["a={b: 1}"], ["a=b_"], ["a=b,c"],
    ["a=b-c"], ["a-b=c"], ["a.b=c"], ["a/b=c"], ["a_b=c"], ["a__b=c"], ["a@b=c"], ["~a"], ["~a=b"], ["a="],
    ["a=null"], ["a='null'"], ["a=1"], ["a='1'"], ["a=1.0"], ["a=true"], ["a=b c"], ["a='b  c'"],
    ["a=b", "c=d"], ["a=/b"], ["a=b--c-d"],
    ["a=[b,c]"], ["a=['b,c']"], ["a=b__c"], ["no-a=b"], ["a=${b}"], ["a=./b"], ["a='油'"],
    ["experiment=[a,b]"], ["experiment=[b,a]"], ["a=default"], ["name=x", "experiment=a"],
    [f"key{n}=1" for n in range(30)], [f"key{n}=1" for n in range(29)] + ["key29=2"],
    ["a=" + "b" * 200], ["a=" + "b" * 201], ["a='" + "c d" * 90 + "'"],
]  # fmt: skip


def test_different_runs_have_different_names_of_allowed_letters() -> None:
    names = [run_id(overrides) for overrides in DIFFERENT]
    clashes = [
        (a, b, name)
        for (a, name), (b, other) in itertools.combinations(zip(DIFFERENT, names, strict=True), 2)
        if name == other
    ]
    assert clashes == []
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name)
        assert len(name) <= LONGEST


def test_long_names_begin_readably() -> None:
    assert run_id([f"key{n}=1" for n in range(30)]).startswith("key0-1--key1-1--key10-1")


PROGRAM = """
import json, pathlib, hydra
from hydra.core.hydra_config import HydraConfig
from sbanet.training.run_id import register_resolvers
register_resolvers()

@hydra.main(".", "config", "1.3")
def main(cfg):
    folder = pathlib.Path(HydraConfig.get().runtime.output_dir)
    (folder / "values.json").write_text(json.dumps([str(cfg.seed), str(cfg.text), str(cfg.betas)]))

main()
"""

CONFIG = """
name: trial
seed: 1
text: plain
betas: [0.9, 0.99]
paths: {runs: runs}
hydra:
  run: {dir: "${paths.runs}/${name}/${run_id:${hydra.overrides.task}}"}
  sweep: {dir: "${paths.runs}/${name}", subdir: "${run_id:${hydra.overrides.task}}"}
"""


def test_hydra_makes_the_folder_in_a_run_and_in_a_sweep(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "config.yaml").write_text(CONFIG)
    odd = [r"""text='the man\'s, (old) car = "7"'""", "betas=[0.8, 0.9]"]

    def start(*arguments: str) -> None:
        command = [sys.executable, "program.py", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    start(*odd, "seed=2", "paths.runs=runs")
    alone = list((tmp_path / "runs" / "trial").iterdir())
    assert [folder.name for folder in alone] == [run_id([*odd, "seed=2"])]
    values = json.loads((alone[0] / "values.json").read_text())
    assert values == ["2", 'the man\'s, (old) car = "7"', "[0.8, 0.9]"]

    start("-m", *odd, "seed=2,3")
    swept = {folder.parent.name for folder in (tmp_path / "runs" / "trial").glob("*/values.json")}
    assert swept == {run_id([*odd, "seed=2"]), run_id([*odd, "seed=3"])}


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["seed=7", "model/alignment=pwam", "trainer=gpu", "logger=wandb"], "model/alignment=pwam seed=7"),
        (["experiment=a", "seed=1", "seed=2", "~callbacks.pictures", "+note=x"], "~callbacks.pictures note=x seed=2"),
        (["experiment=a", "name=b"], "experiment=a"),
        ([], ""),
    ],
)
def test_what_a_run_changes_reads_as_it_is_typed(overrides: list[str], expected: str) -> None:
    assert changes(overrides) == expected
