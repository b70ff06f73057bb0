"""`--help` lists what the config tree offers."""

from sbanet.config.help import program_help


def test_every_group_is_listed_with_its_options(tree, add_config, tmp_path):
    add_config("hydra/run_folder.yaml", "run: {dir: out}")  # how Hydra runs, which nobody chooses
    mine = tmp_path / "mine" / "experiment"
    mine.mkdir(parents=True)
    (mine / "of_my_own.yaml").touch()
    said = program_help("sbanet-train", "Train by a config.", mine.parent)
    assert "Train by a config." in said
    assert said.partition("groups and their options:\n")[2].splitlines() == [
        "  experiment            of_my_own, small, sweep",
        "  loss                  bce",
        "  model/alignment       bam, pwam",
    ]
