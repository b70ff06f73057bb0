import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from sbanet.config import compose, config_dir


def test_overrides_and_groups_are_applied(tree):
    cfg = compose("train", ["model/alignment=pwam", "data.batch_size=8", "experiment=small"])
    assert cfg.model.alignment._target_.endswith("PixelWordAttention")
    assert OmegaConf.to_container(cfg.data) == {"batch_size": 8, "image_size": 32}
    assert "hydra" not in cfg


def test_hydra_is_left_as_it_was_found(tree):
    GlobalHydra.instance().clear()
    compose()
    assert not GlobalHydra.instance().is_initialized()
    with hydra.initialize_config_dir(str(tree), version_base="1.3"):
        outer = GlobalHydra.instance().hydra
        compose()
        assert GlobalHydra.instance().hydra is outer
        with pytest.raises(Exception, match="nothing"):
            compose("train", ["nothing=1"])
        assert GlobalHydra.instance().hydra is outer
        assert hydra.compose("train").seed == 1


def test_configs_of_the_users_own(tree, tmp_path):
    own = tmp_path / "my configs"
    (own / "experiment").mkdir(parents=True)
    (own / "experiment" / "mine.yaml").write_text("# @package _global_\nseed: 7\n")
    assert compose("train", ["experiment=mine"], own_configs=own).seed == 7


def test_the_projects_own_tree_is_found_from_anywhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert (config_dir() / "train.yaml").is_file()
    assert (config_dir() / "experiment").is_dir()
