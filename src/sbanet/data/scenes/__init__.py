"""Procedural top-down aerial scenes with the categories of RRSIS-D: `render_scene(seed, index, config)`."""

from sbanet.data.scenes.config import SceneConfig
from sbanet.data.scenes.scene import Scene, render_scene

__all__ = ["Scene", "SceneConfig", "render_scene"]
