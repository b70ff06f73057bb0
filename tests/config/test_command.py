"""`sbanet-check` on a config tree of the test's own."""

import sys
from pathlib import Path

import pytest

from sbanet.check import main


@pytest.fixture
def checked(tree, capsys, monkeypatch):
    def checked(*arguments):
        monkeypatch.setattr(sys, "argv", ["sbanet-check", *arguments])
        code = 0
        try:
            main()
        except SystemExit as exit:
            code = exit.code
        output = capsys.readouterr()
        return code, output.out, output.err

    return checked


def test_a_sound_config_is_said_to_be_so(checked):
    code, output, _ = checked("experiment=small")
    assert code == 0
    assert output == "ok: experiment=small\n"


def test_all_problems_stand_in_one_table(checked):
    code, output, _ = checked("model.alignment.num_queries=abc", "loss.reduction=3", "seed=???")
    assert code == 1
    assert "3 problems" in output
    for key in ("model.alignment.num_queries", "loss.reduction", "seed"):
        assert sum(key in line.split() for line in output.splitlines()) == 1


def test_overrides_that_cannot_be_composed_hide_nothing(checked):
    code, output, _ = checked(
        "model.aligment.num_queries=8",
        "model/alignment=bm",
        "loss.reduction=3",
        "seed=the man's",
        "data.batch_size=16",
    )
    assert code == 1
    assert "4 problems" in output
    assert "'model.alignment.num_queries'" in output
    assert "no 'bm' in 'model/alignment'" in output
    assert "quote" in output


def test_the_order_of_overrides_does_not_matter(checked, add_config):
    add_config("loss/weighted.yaml", "_target_: torch.nn.BCEWithLogitsLoss\nweight: null")
    _, output, _ = checked("loss.weight=null", "loss=weighted", "sed=1")
    assert "1 problem" in output


def test_each_value_of_a_sweep_is_checked(checked):
    code, output, _ = checked("-m", "seed=1,2,x", "model/alignment=bam,pwam")
    assert code == 1
    assert "is 'x' (str), expected an integer" in output
    code, output, _ = checked("experiment=sweep")
    assert code == 0
    assert "(4 variants of a sweep)" in output
    code, output, _ = checked("experiment=sweep", "model.alignment.num_queries=8")
    assert code == 1  # pixel-word attention has no queries


def test_configs_of_the_users_own(checked, tmp_path):
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    (tmp_path / "own" / "experiment" / "mine.yaml").write_text("# @package _global_\nmodle: {}\n")
    code, output, _ = checked("--config-dir", str(tmp_path / "own"), "experiment=mine")
    assert code == 1
    assert "did you mean 'model'?" in output


def test_a_file_that_cannot_be_read_is_one_line(checked, add_config):
    add_config("experiment/torn.yaml", "seed: [1, 2")
    code, output, errors = checked("experiment=torn")
    assert (code, output) != (0, "")
    assert "torn.yaml" in output + errors


def test_nothing_is_written_and_no_gpu_is_touched(checked, tree):
    checked("experiment=small")
    assert list(Path.cwd().iterdir()) == []


def test_a_broken_root_config_is_an_error_of_its_own(checked, add_config):
    add_config("train.yaml", "defaults:\n  - nowhere: x\n")
    code, _, errors = checked()
    assert code == 2
    assert len(errors.splitlines()) == 1
    assert "nowhere" in errors
