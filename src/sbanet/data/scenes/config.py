"""What scenes are like: every number of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sbanet.data.scenes.catalogue import CATALOGUE, TERRAINS


def _default_weights() -> dict[str, float]:
    return {name: category.weight for name, category in CATALOGUE.items()}


def _default_lengths() -> dict[str, tuple[float, float]]:
    return {name: category.length for name, category in CATALOGUE.items()}


def _default_terrains() -> dict[str, float]:
    return {"inland": 0.5, "coast": 0.26, "river": 0.24}


@dataclass(frozen=True, kw_only=True)
class SceneConfig:
    """What scenes are like; the defaults are the *standard difficulty*.

    A pair is (low, high), drawn uniformly, both included where whole numbers. Mappings are laid over their
    defaults: naming one category changes that one.

    Attributes:
        size: side of the square image in pixels, 64 to 1024.
        num_objects: objects a scene. A scene in which no more fit has fewer.
        group_size: objects of one category in a scene.
        singleton_share: how often a scene holds one object alone of its category.
        category_weights: how readily a scene takes a group of a category; 0 leaves it out.
        category_lengths: shortest and longest object as a fraction of the image's side; for what crosses a
            river or a road, of its width.
        size_scale: factor on all lengths but those of crossings.
        size_skew: 0 draws lengths evenly, 1 mostly near the short end.
        terrain_weights: how often a scene is inland (with a main road), at a coast, at a river.
        gap: least distance between two objects, as a fraction of the side.
        attempts: places tried for one object before it is drawn smaller.
        houses: unnamed houses a scene, as scenery.
        texture: contrast of land and water, in grey levels.
        shadow: how much light a shadow takes away, 0 to 1.
        shadow_reach: length of shadows, in heights of what casts them.
        noise: standard deviation of the sensor noise, in grey levels.
        blur: standard deviation of the optical blur, in pixels.
        colour_cast: most that a channel is shifted in a scene, in grey levels.
        brightness: factor on all channels in a scene.
        min_colour_share: share of an object's visible pixels from which on a colour is named.

    Raises:
        ValueError: for an unknown category or terrain, a size outside 64 to 1024, a pair out of order, or
            weights that leave nothing to draw.
    """

    size: int = 160
    num_objects: tuple[int, int] = (4, 12)
    group_size: tuple[int, int] = (2, 5)
    singleton_share: float = 0.3
    category_weights: Mapping[str, float] = field(default_factory=_default_weights)
    category_lengths: Mapping[str, tuple[float, float]] = field(default_factory=_default_lengths)
    size_scale: float = 1.0
    size_skew: float = 0.5
    terrain_weights: Mapping[str, float] = field(default_factory=_default_terrains)
    gap: float = 0.012
    attempts: int = 40
    houses: tuple[int, int] = (0, 4)
    texture: int = 9
    shadow: float = 0.42
    shadow_reach: tuple[float, float] = (0.6, 1.3)
    noise: float = 4.0
    blur: tuple[float, float] = (0.3, 0.6)
    colour_cast: int = 6
    brightness: tuple[float, float] = (0.92, 1.06)
    min_colour_share: float = 0.2

    def __post_init__(self) -> None:
        if not 64 <= self.size <= 1024:
            raise ValueError(f"size={self.size}: scenes are drawn from 64 to 1024 pixels; choose a size in that range")
        for name in ("num_objects", "group_size", "houses", "shadow_reach", "blur", "brightness"):
            self._normalise(name, _pair(name, getattr(self, name)))
        if self.num_objects[0] < 1 or self.num_objects[1] > 255 or self.group_size[0] < 1:
            raise ValueError(
                f"num_objects={self.num_objects}, group_size={self.group_size}: expected 1 to 255 objects "
                "and groups of 1 or more"
            )
        self._normalise("category_weights", _weights("category_weights", self.category_weights, _default_weights()))
        self._normalise("terrain_weights", _weights("terrain_weights", self.terrain_weights, _default_terrains()))
        lengths = _overlay("category_lengths", self.category_lengths, _default_lengths())
        self._normalise(
            "category_lengths",
            {name: _pair(f"category_lengths.{name}", pair) for name, pair in lengths.items()},
        )
        if not self.usable_terrains:
            raise ValueError(
                f"no category of category_weights={dict(self.category_weights)} can stand on any terrain of "
                f"terrain_weights={dict(self.terrain_weights)}; give one that can a weight above 0"
            )

    def _normalise(self, name: str, value: object) -> None:
        """Replace what a config file gave: lists, omegaconf containers."""
        object.__setattr__(self, name, value)

    @property
    def usable_terrains(self) -> dict[str, float]:
        """The weights of the terrains on which at least one category can stand."""
        habitats = {CATALOGUE[name].habitat for name, weight in self.category_weights.items() if weight > 0}
        return {name: w for name, w in self.terrain_weights.items() if w > 0 and habitats & set(TERRAINS[name])}


def _pair(name: str, value: Any) -> tuple[Any, Any]:
    try:
        low, high = value
    except (TypeError, ValueError):
        raise ValueError(f"{name}={value!r}: expected a pair (low, high)") from None
    if low > high:
        raise ValueError(f"{name}={value!r}: the first of the pair must not exceed the second")
    return low, high


def _overlay(name: str, given: Mapping, default: dict) -> dict:
    unknown = sorted(set(given) - set(default))
    if unknown:
        raise ValueError(f"{name}: unknown {', '.join(unknown)}; known: {', '.join(default)}")
    return {**default, **given}


def _weights(name: str, given: Mapping[str, float], default: dict[str, float]) -> dict[str, float]:
    weights = _overlay(name, given, default)
    if any(weight < 0 for weight in weights.values()):
        raise ValueError(f"{name}={weights}: expected weights of 0 or more")
    return weights
