"""What a user reads after a mistake: one line that names what was meant."""

import os
import sys

import hydra
import pytest
from hydra.errors import MissingConfigException

from sbanet.config import clear_errors, compose, program
from sbanet.config.arguments import Arguments
from sbanet.config.explain import explain
from sbanet.errors import CheckpointError, ConfigError, DataError, SbanetError


@pytest.fixture
def run(tree, monkeypatch, capfd):
    """Run a Hydra program with arguments; return its exit code and the lines on stderr."""

    def run(*arguments, task=lambda cfg: None):
        monkeypatch.setattr(sys, "argv", ["sbanet-train", *arguments])
        code = 0
        try:
            program("train")(task)()
        except SystemExit as exit:
            code = exit.code
        return code, capfd.readouterr().err.splitlines()

    return run


MISTAKES = {
    "key": (["sed=2"], "no key 'sed'", "'seed'"),
    "nested key": (["model.aligment.num_queries=2"], "model.aligment", "'model.alignment.num_queries'"),
    "key without path": (["num_queries=2"], "'num_queries'", "'model.alignment.num_queries'"),
    "key of another option": (
        ["model/alignment=pwam", "model.alignment.num_queries=2"],
        "no key 'model.alignment.num_queries'",
        "'model.alignment'",
    ),
    "group": (["model/aligment=bam"], "no group 'model/aligment'", "'model/alignment'"),
    "group without path": (["alignment=pwam"], "'alignment'", "'model/alignment'"),
    "option": (["model/alignment=bm"], "no 'bm' in 'model/alignment'", "known: bam, pwam"),
    "experiment": (["experiment=smal"], "no 'smal'", "did you mean 'small'?"),
    "root config": (["-cn", "trian"], "'trian'", "'train'"),
    "deletion": (["~sed"], "'sed'", "'seed'"),
    "addition": (["+seed=2"], "'seed' is already", "seed=<value>"),
    "sweep without -m": (["seed=1,2"], "seed=1,2", "sweep with -m"),
    "sweep": (["-m", "seed=1,2", "sed=1"], "no key 'sed'", "'seed'"),
    "grammar": (["seed=the man's car"], "seed=the man's car", "quote"),
    "no value": (["seed"], "'seed'", "key=value"),
    "config dir": (["--config-dir=nowhere"], "nowhere", "not found"),
    "hydra key": (["hydra.run.dri=x"], "hydra.run.dri", "'hydra.run.dir'"),
}


@pytest.mark.parametrize(("arguments", "came", "meant"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_on_the_command_line_is_one_line(run, arguments, came, meant):
    code, lines = run(*arguments)
    assert code == 2
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert came in lines[0]
    assert meant in lines[0]


@pytest.mark.parametrize("error", [ConfigError, CheckpointError, DataError])
def test_an_error_of_ours_in_the_task_is_one_line(run, error):
    def task(cfg):
        raise error("runs/x.ckpt is no checkpoint: give ckpt=<file>")

    assert run(task=task) == (2, ["error: runs/x.ckpt is no checkpoint: give ckpt=<file>"])
    assert issubclass(error, SbanetError)
    assert issubclass(error, ValueError)


def test_what_is_hydras_own_is_not_suggested(run):
    _, [line] = run("model.alignment.target=x")
    assert "_target_" not in line


def test_a_constructors_refusal_names_the_config_key(run):
    def task(cfg):
        hydra.utils.instantiate(cfg.loss)

    code, [line] = run("+loss.reductoin=sum", task=task)
    assert code == 2
    assert line.startswith("error: loss: ")
    assert "reductoin" in line


def test_a_missing_value_is_asked_for(run):
    code, [line] = run("data.batch_size=???", task=lambda cfg: cfg.data.batch_size)
    assert code == 2
    assert "data.batch_size=<value>" in line


def test_a_fault_of_the_program_keeps_its_traceback(run):
    def task(cfg):
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        run(task=task)


@pytest.mark.parametrize("variable", ["SBANET_TRACEBACK", "HYDRA_FULL_ERROR"])
def test_the_traceback_can_be_had(run, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    with pytest.raises(Exception, match="Could not override 'sed'"):
        run("sed=2")


def test_the_task_sees_the_environment_that_the_user_had(run, monkeypatch):
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    seen = []
    run(task=lambda cfg: seen.append(os.environ.get("HYDRA_FULL_ERROR")))
    assert seen == [None]
    assert "HYDRA_FULL_ERROR" not in os.environ


def test_a_program_runs_on_a_config_that_it_is_given(tree):
    main = program("train")(lambda cfg: cfg.seed)
    assert main(compose("train", ["seed=5"])) == 5


def test_commands_that_compose_by_api_word_their_errors_too(tree, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["sbanet-evaluate", "sed=1", "image=photo(1).png"])
    with pytest.raises(SystemExit) as exit, clear_errors():
        compose("train", ["sed=1"])
    assert exit.value.code == 2
    assert "did you mean 'seed'?" in capsys.readouterr().err


def test_a_config_of_an_extra_that_is_not_installed_names_the_extra():
    missing = MissingConfigException("In 'hydra/launcher/slurm': no", "hydra/launcher/submitit_slurm", [])
    said = explain(missing, "train", Arguments(overrides=["hydra/launcher=slurm"]))
    assert said == "hydra/launcher=slurm needs the extra `slurm`: pip install 'sbanet[slurm]'"
