"""Which objects a scene holds, and where."""

from __future__ import annotations

from collections import Counter

from sbanet.data.scenes import layout
from sbanet.data.scenes.catalogue import CATALOGUE, FIXED_PLACES, TERRAINS, Category
from sbanet.data.scenes.config import SceneConfig
from sbanet.data.scenes.craft import parking_pad
from sbanet.data.scenes.dice import Dice
from sbanet.data.scenes.geometry import QUARTER, TURN
from sbanet.data.scenes.sketch import Canvas, Sketch
from sbanet.data.scenes.structures import house
from sbanet.data.scenes.terrain import LAND, WATER, paint_terrain

_TYPICAL: dict[str, tuple[str, ...]] = {
    "inland": (),
    "coast": ("water", "shore"),
    "river": ("river", "water"),
}
"""The first group of a scene stands there: what the scene is about."""


_SLOTS = 10
"""Places tried on a river, a road or a shore."""


class Composition:
    """The objects of one scene, sketched and placed; only the terrain is painted yet.

    Args:
        config: what scenes are like.
        dice: the scene's draws.

    Attributes:
        canvas: with the terrain and the roads on it.
        placed: (category, sketch) of every object.
        scenery: sketches that nobody will ask for.
    """

    def __init__(self, config: SceneConfig, dice: Dice) -> None:
        self._config = config
        self._dice = dice
        self._sun = dice.integer(0, TURN - 1)
        # tall things lean away from the point below the camera: never along their own shadows
        self._lean = (self._sun + dice.integer(QUARTER, 3 * QUARTER)) % TURN
        self._gap = config.gap * config.size
        self.kind = dice.weighted(config.usable_terrains)
        self.canvas = Canvas(config.size)
        self._terrain = paint_terrain(self.canvas, dice, self.kind, contrast=config.texture, sun=self._sun)
        self.placed: list[tuple[str, Sketch]] = []
        self.scenery: list[Sketch] = []
        self._full: set[str] = set()
        self._place_objects()
        self._place_houses()

    def _place_objects(self) -> None:
        """Place the planned groups; then fill up with more of the same where some did not fit."""
        total = self._dice.integer(*self._config.num_objects)
        plan = self._plan(total)
        for name, count in plan:
            # one from each stretch of the size range: a group differs in size
            strata = list(range(count))
            self._dice.shuffle(strata)
            for stratum in strata:
                self._put(name, (stratum + self._dice.unit()) / count)
        while len(self.placed) < total and (pool := self._pool(dict(plan))):
            self._put(self._dice.choice(pool), 0.5 * self._dice.unit())

    def _pool(self, plan: dict[str, int]) -> list[str]:
        """Categories to fill up with: what stands alone against the plan, small groups, else what fits."""
        counts = Counter(name for name, _ in self.placed)
        room = [
            name
            for name in self._candidates()
            if name not in self._full
            and (CATALOGUE[name].habitat not in FIXED_PLACES or counts[name] < CATALOGUE[name].group)
        ]
        begun = [
            name
            for name in room
            if counts[name] == 1 < plan.get(name, 2) or 1 < counts[name] < self._config.group_size[1]
        ]
        return begun or [name for name in room if counts[name]] or room

    def _candidates(self) -> dict[str, float]:
        """The weights of the categories that can stand on this terrain."""
        weights = self._config.category_weights
        return {name: w for name, w in weights.items() if w > 0 and CATALOGUE[name].habitat in TERRAINS[self.kind]}

    def _plan(self, total: int) -> list[tuple[str, int]]:
        """Groups (category, count) of `total` objects; first what has few possible places, then by size."""
        dice, config = self._dice, self._config
        candidates = self._candidates()
        typical = {name: w for name, w in candidates.items() if CATALOGUE[name].habitat in _TYPICAL[self.kind]}
        groups: dict[str, int] = {}
        remaining = total
        alone = dice.chance(config.singleton_share)
        while remaining > 0 and candidates:
            name = dice.weighted(typical or candidates)
            typical = {}
            del candidates[name]
            count = min(dice.integer(*config.group_size), CATALOGUE[name].group, remaining)
            if remaining - count == 1 and not alone:
                # rather one more of these, or one fewer in the plan, than one that stands alone
                if count < CATALOGUE[name].group:
                    count += 1
                else:
                    remaining -= 1
            groups[name] = count
            remaining -= count
        return sorted(groups.items(), key=lambda group: self._rank(group[0]))

    def _rank(self, name: str) -> tuple[bool, float]:
        return CATALOGUE[name].habitat not in FIXED_PLACES, -self._config.category_lengths[name][1]

    def _put(self, name: str, fraction: float) -> None:
        """Place one object, `fraction` of the way from the shortest to the longest; else the shortest."""
        if name in self._full:
            return
        category = CATALOGUE[name]
        heading = self._dice.integer(0, TURN - 1)
        if category.leans:
            heading = (self._lean + self._dice.integer(-8, 8)) % TURN
        sketch = Sketch(heading=heading, length=self._length(name, fraction), sun=self._sun)
        category.draw(sketch, self._dice)
        placed = self._place(sketch, category)
        if not placed and fraction > 0.1:
            sketch.length = self._length(name, 0.0)
            placed = self._place(sketch, category)
        if placed:
            layout.lead_roads(self.canvas, self._terrain, sketch)
            self.placed.append((name, sketch))
        else:
            self._full.add(name)

    def _length(self, name: str, fraction: float) -> float:
        """In pixels."""
        low, high = self._config.category_lengths[name]
        skew = self._config.size_skew
        share = low + (high - low) * fraction * (1 - skew + skew * fraction)
        habitat = CATALOGUE[name].habitat
        corridor = {"river": self._terrain.river, "highway": self._terrain.highway}.get(habitat)
        if corridor is not None:
            return share * 2 * corridor.half
        return share * self._config.size * self._config.size_scale

    def _place(self, sketch: Sketch, category: Category) -> bool:
        dice, terrain, gap = self._dice, self._terrain, self._gap
        attempts = self._config.attempts
        if category.habitat == "water":
            return layout.place_on(sketch, terrain, dice, code=WATER, gap=gap, attempts=attempts)
        if category.habitat == "road":
            if terrain.roads and dice.chance(0.6):
                for _ in range(_SLOTS):
                    slot = layout.lane_slot(sketch, dice.choice(terrain.roads), dice)
                    if layout.place_at(sketch, terrain, slot, gap=gap):
                        return True
            parking_pad(sketch)
        if category.habitat in ("land", "road"):
            return layout.place_on(sketch, terrain, dice, code=LAND, gap=gap, attempts=attempts)
        for _ in range(_SLOTS):
            if terrain.river is not None and category.habitat == "river":
                slot = layout.crossing_slot(terrain.river, dice)
            elif terrain.highway is not None and category.habitat == "highway":
                slot = layout.crossing_slot(terrain.highway, dice)
            else:
                slot = layout.shore_slot(sketch, terrain.shore, dice)
            if layout.place_at(sketch, terrain, slot, gap=gap):
                return True
        return False

    def _place_houses(self) -> None:
        dice, size = self._dice, self._config.size
        for _ in range(dice.integer(*self._config.houses)):
            sketch = Sketch(heading=dice.integer(0, TURN - 1), length=dice.uniform(0.06, 0.1) * size, sun=self._sun)
            house(sketch, dice)
            if layout.place_on(sketch, self._terrain, dice, code=LAND, gap=self._gap, attempts=6):
                self.scenery.append(sketch)
