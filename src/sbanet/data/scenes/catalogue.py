"""The categories of a scene: how each is drawn, where it may stand, how large and how often it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sbanet.data.scenes import craft, crossings, sports, structures
from sbanet.data.scenes.dice import Dice
from sbanet.data.scenes.sketch import Sketch

Habitat = Literal["land", "water", "road", "river", "highway", "shore"]
"""Open ground or water; on a road or beside it; across the river or the main road; on the shore."""

TERRAINS: dict[str, tuple[Habitat, ...]] = {
    "inland": ("land", "road", "highway"),
    "coast": ("land", "road", "water", "shore"),
    "river": ("land", "road", "water", "river"),
}
"""The kinds of scene, and the habitats that each has."""

FIXED_PLACES: tuple[Habitat, ...] = ("river", "highway", "shore")
"""Habitats with few possible places."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """One kind of object.

    Attributes:
        draw: draws it into a sketch.
        habitat: where it may stand.
        length: shortest and longest, as a fraction of the image's side, or of the width of what it crosses.
        weight: how readily a scene takes a group of it.
        group: the most a group of it may count.
        leans: it is tall: its heading is the scene's viewing direction.
    """

    draw: Callable[[Sketch, Dice], None]
    habitat: Habitat
    length: tuple[float, float]
    weight: float = 1.0
    group: int = 5
    leans: bool = False


CATALOGUE: dict[str, Category] = {
    "airplane": Category(draw=craft.airplane, habitat="land", length=(0.15, 0.28), weight=1.3),
    "ship": Category(draw=craft.ship, habitat="water", length=(0.13, 0.3), weight=2.0),
    "vehicle": Category(draw=craft.vehicle, habitat="road", length=(0.09, 0.145), weight=1.4),
    "storage tank": Category(draw=structures.storage_tank, habitat="land", length=(0.08, 0.17), weight=1.2),
    "chimney": Category(draw=structures.chimney, habitat="land", length=(0.18, 0.28), leans=True),
    "windmill": Category(draw=structures.windmill, habitat="land", length=(0.2, 0.32), leans=True),
    "train station": Category(draw=structures.train_station, habitat="land", length=(0.2, 0.33), weight=0.8, group=3),
    "tennis court": Category(draw=sports.tennis_court, habitat="land", length=(0.11, 0.21)),
    "basketball court": Category(draw=sports.basketball_court, habitat="land", length=(0.11, 0.21)),
    "ground track field": Category(draw=sports.ground_track_field, habitat="land", length=(0.15, 0.28), group=4),
    "baseball field": Category(draw=sports.baseball_field, habitat="land", length=(0.13, 0.25), weight=1.1, group=4),
    "stadium": Category(draw=sports.stadium, habitat="land", length=(0.14, 0.26), weight=0.9, group=3),
    "golf field": Category(draw=sports.golf_field, habitat="land", length=(0.19, 0.31), weight=0.8, group=3),
    "bridge": Category(draw=crossings.bridge, habitat="river", length=(1.25, 1.5), weight=4.0, group=3),
    "dam": Category(draw=crossings.dam, habitat="river", length=(1.15, 1.3), weight=3.5, group=2),
    "overpass": Category(draw=crossings.overpass, habitat="highway", length=(1.7, 2.3), weight=1.5, group=3),
    "expressway toll station": Category(
        draw=crossings.toll_station, habitat="highway", length=(1.8, 2.5), weight=2.0, group=3
    ),
    "harbor": Category(draw=crossings.harbor, habitat="shore", length=(0.22, 0.34), weight=2.0, group=3),
}
"""All categories, by RRSIS-D's names for them in plain words."""
