import pytest

from sbanet.data.scenes import Scene, SceneConfig, render_scene

NUM_SCENES = 400


@pytest.fixture(scope="package")
def standard_scenes() -> list[Scene]:
    """Scenes of the standard difficulty."""
    config = SceneConfig()
    return [render_scene(7, index, config) for index in range(NUM_SCENES)]
