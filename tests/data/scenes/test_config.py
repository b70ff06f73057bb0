import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from sbanet.data.scenes import SceneConfig
from sbanet.data.scenes.catalogue import CATALOGUE


def test_hydra_node_overrides_a_part_of_the_defaults():
    node = OmegaConf.create(
        {
            "_target_": "sbanet.data.scenes.SceneConfig",
            "size": 128,
            "num_objects": [3, 6],
            "category_weights": {"vehicle": 0},
            "category_lengths": {"ship": [0.2, 0.4]},
        }
    )
    config = instantiate(node)
    assert config.size == 128
    assert config.num_objects == (3, 6)
    assert config.category_weights["vehicle"] == 0
    assert config.category_weights["bridge"] == CATALOGUE["bridge"].weight
    assert config.category_lengths["ship"] == (0.2, 0.4)
    assert config.category_lengths["bridge"] == CATALOGUE["bridge"].length


def test_terrains_without_a_category_are_not_drawn():
    only_ships = {name: float(name == "ship") for name in CATALOGUE}
    assert set(SceneConfig(category_weights=only_ships).usable_terrains) == {"coast", "river"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 32}, "size=32"),
        ({"num_objects": (9, 4)}, "num_objects=.*must not exceed"),
        ({"num_objects": 5}, "num_objects=5: expected a pair"),
        ({"num_objects": (0, 4)}, "expected 1 to 255"),
        ({"category_weights": {"submarine": 1}}, "unknown submarine; known: airplane"),
        ({"category_weights": {"ship": -1}}, "weights of 0 or more"),
        ({"category_lengths": {"ship": (0.3, 0.2)}}, "category_lengths.ship"),
        ({"terrain_weights": {"desert": 1}}, "unknown desert; known: inland"),
        ({"category_weights": dict.fromkeys(CATALOGUE, 0)}, "weight above 0"),
    ],
)
def test_errors_name_the_setting(change, message):
    with pytest.raises(ValueError, match=message):
        SceneConfig(**change)
