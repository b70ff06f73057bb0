"""The project's own configs pass its own check."""

from pathlib import Path

import pytest

from sbanet.check import check_all
from sbanet.config import check, compose, config_dir
from sbanet.config.arguments import Arguments
from sbanet.config.keys import config_groups
from tests.test_configs import NEEDED

REPOSITORY = Path(__file__).resolve().parents[1]
EXPERIMENTS = sorted(path.stem for path in (REPOSITORY / "experiments").glob("*.yaml"))


def options():
    """Every option of every group, but for Hydra's own (a launcher needs its plugin) and those of a sweep's file."""
    for group in config_groups():
        if not group.startswith(("hydra", "recipe", "variant")):
            for path in sorted((config_dir() / group).glob("*.yaml")):
                yield f"{group}={path.stem}"


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_is_sound(experiment):
    assert check_all(Arguments(overrides=[f"experiment={experiment}"]))[1] == []


def test_every_option_is_sound():
    problems = {option: check(compose("train", [option, *NEEDED.get(option, [])])) for option in options()}
    assert {option: found for option, found in problems.items() if found} == {}


def test_no_data_is_needed(tmp_path):
    assert check(compose("train", [f"paths.runs={tmp_path / 'nowhere'}"])) == []
    assert not (tmp_path / "nowhere").exists()


def test_a_typo_in_the_model_is_found():
    [problem] = check(compose("train", ["+model.alignment.num_querys=4"]))
    assert problem.key == "model.alignment.num_querys"
    assert "'num_queries'" in problem.text
