"""What the grammar's words mean: which objects of a scene a phrase is true of.

Every phrase has an `Extension`, two sets of objects: *strict*, those of which a picky reader would say it,
and *lenient*, all of which a generous one could. Between them lies the margin that keeps truth off the
knife's edge. x grows to the right, y downwards, (x, y) is the middle of an object's box, A the number of its
visible pixels.

Position. The image is a 3x3 grid of thirds, and a phrase names one of its cells.
    strict: (x, y) lies in the cell, `position` (a fraction of the side) or more from its inner borders.
    lenient: in the cell grown by `position`; for "on the left", "on the right", "on the top", "at the bottom"
    in the whole outer third grown by `position`, whichever row or column.
Size, relative to all objects of the category in the scene, whose areas span [m, M].
    "large" strict: A >= M / `size_tie` and A >= m * `size_ratio`; lenient: A >= M / `size_ratio`.
    "huge" strict: as "large", and A >= m * `size_extreme`; lenient: as "large".
    "small" and "tiny" mirror them.
Colour. "red" is true of what has red among its colours, "orange and red" of what has both, in any order.
    Where one object of a category has no known colour, the category has no colour phrases.
Shape. strict: the same word; lenient: also its near synonym (`NEAR_SYNONYMS`), and any object whose shape is
    unknown. Of an object whose shape is "" no shape is true.
Relation of a subject to a landmark: the direction between their middles, in eight sectors of 45 degrees.
    strict: `relation_angle` degrees or more inside the sector, the middles `relation_distance` (a fraction of
    the shorter side) or more apart, neither of them inside the other's box.
    lenient: within `cardinal_reach` degrees of the axis for above, below, left, right, `diagonal_reach` for
    the others; in any direction where the middles are closer than `relation_distance`.
Comparison of a subject with a landmark; q is the larger of their areas over the smaller.
    "similar in size to" strict: q <= `similar`; lenient: q < `little_from`.
    "a little bigger (smaller) than" strict: `little_from` <= q <= `little_to`;
    lenient: `similar` < q < `much`.
    "much bigger (smaller) than" strict: q >= `much`; lenient: q > `little_to`.
Superlative. "largest": A >= `superlative` times that of every other of the category; "smallest" mirrors it.
Ordinal, by the middles along one axis: `rank_gap` (a fraction of the side) or more from both neighbours.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sbanet.data.grammar import Instance

POSITIONS = (
    ("on the upper left", "on the top", "on the upper right"),
    ("on the left", "in the middle", "on the right"),
    ("on the lower left", "at the bottom", "on the lower right"),
)
"""The phrase of each cell, rows from the top."""

DIRECTIONS = (
    "on the right of", "on the lower right of", "below", "on the lower left of",
    "on the left of", "on the upper left of", "above", "on the upper right of",
)  # fmt: skip
"""The phrase of each sector: number k is centred at 45 k degrees, clockwise from the right."""

COMPARISONS = (
    "similar in size to",
    "a little bigger than",
    "a little smaller than",
    "much bigger than",
    "much smaller than",
)
"""The phrases that compare sizes."""

NEAR_SYNONYMS: Mapping[str, str] = {
    "slender": "long",
    "long": "slender",
    "oval": "rounded",
    "rounded": "oval",
}
"""Shape words that a generous reader takes for one another."""


class Extension(NamedTuple):
    """The objects that a phrase is true of, as bit sets (bit i = instance i); lenient includes strict."""

    strict: int
    lenient: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Margins:
    """The numbers in the meaning of words; the module's docstring says what each one does.

    Attributes:
        position: margin at the borders of the 3x3 grid, fraction of the image's side.
        size_tie: areas within this ratio of the category's extreme count as equal to it.
        size_ratio: least ratio of areas that "large" and "small" speak of.
        size_extreme: least ratio of areas that "huge" and "tiny" speak of.
        relation_angle: margin at the borders of the direction sectors, degrees.
        relation_distance: least distance of two middles, fraction of the image's shorter side.
        cardinal_reach: half the lenient sector of above, below, left and right, degrees.
        diagonal_reach: half the lenient sector of the four diagonal directions, degrees.
        similar: largest ratio of areas that is "similar in size".
        little_from: smallest ratio of areas that is "a little" bigger or smaller.
        little_to: largest ratio of areas that is "a little" bigger or smaller.
        much: smallest ratio of areas that is "much" bigger or smaller.
        superlative: least ratio of areas between the largest (smallest) and the next.
        rank_gap: least distance of neighbouring ranks along their axis, fraction of the image's side.

    Raises:
        ValueError: a number that leaves no room for, or no gap between, the meanings.
    """

    position: float = 0.04
    size_tie: float = 1.2
    size_ratio: float = 1.7
    size_extreme: float = 3.5
    relation_angle: float = 6.0
    relation_distance: float = 0.08
    cardinal_reach: float = 75.0
    diagonal_reach: float = 45.0
    similar: float = 1.12
    little_from: float = 1.35
    little_to: float = 2.0
    much: float = 3.0
    superlative: float = 1.3
    rank_gap: float = 0.05

    def __post_init__(self) -> None:
        """Check that every strict meaning exists and lies inside its lenient one."""
        tie, ratio, extreme = self.size_tie, self.size_ratio, self.size_extreme
        conditions = {
            "0 <= position < 1/6": 0 <= self.position < 1 / 6,
            "1 <= size_tie < size_ratio <= size_extreme": 1 <= tie < ratio <= extreme,
            "0 <= relation_angle < 22.5": 0 <= self.relation_angle < 22.5,
            "0 <= relation_distance": self.relation_distance >= 0,
            "22.5 <= cardinal_reach <= 90": 22.5 <= self.cardinal_reach <= 90,
            "22.5 <= diagonal_reach <= 90": 22.5 <= self.diagonal_reach <= 90,
            "1 <= similar < little_from": 1 <= self.similar < self.little_from,
            "little_from <= little_to < much": self.little_from <= self.little_to < self.much,
            "1 < superlative": self.superlative > 1,
            "0 <= rank_gap": self.rank_gap >= 0,
        }
        broken = [condition for condition, holds in conditions.items() if not holds]
        if broken:
            raise ValueError(f"the grammar's margins must satisfy {', '.join(broken)}; got {self}")


def _bits(members: Iterator[int]) -> int:
    return sum(1 << member for member in members)


def _thirds(fractions: Sequence[float], margin: float) -> list[Extension]:
    """Which of the coordinates (0 to 1) lie in the first, second and last third."""
    borders = ((-math.inf, 1 / 3), (1 / 3, 2 / 3), (2 / 3, math.inf))
    return [
        Extension(
            _bits(i for i, at in enumerate(fractions) if low + margin <= at <= high - margin),
            _bits(i for i, at in enumerate(fractions) if low - margin <= at <= high + margin),
        )
        for low, high in borders
    ]


def positions(instances: Sequence[Instance], height: int, width: int, margins: Margins) -> dict[str, Extension]:
    """The objects in each cell of the 3x3 grid, by phrase."""
    columns = _thirds([instance.centre[0] / width for instance in instances], margins.position)
    rows = _thirds([instance.centre[1] / height for instance in instances], margins.position)
    extensions = {}
    for r, row in enumerate(rows):
        for c, column in enumerate(columns):
            lenient = row.lenient & column.lenient
            if r == 1 and c != 1:
                lenient = column.lenient
            elif c == 1 and r != 1:
                lenient = row.lenient
            extensions[POSITIONS[r][c]] = Extension(row.strict & column.strict, lenient)
    return extensions


def sizes(instances: Sequence[Instance], group: Sequence[int], margins: Margins) -> dict[str, Extension]:
    """The objects of one category (`group`) that each size adjective is true of."""
    areas = {i: instances[i].area for i in group}
    low, high = min(areas.values()), max(areas.values())
    if high < low * margins.size_ratio:
        return {}
    top = {i: area for i, area in areas.items() if area >= high / margins.size_tie}
    bottom = {i: area for i, area in areas.items() if area <= low * margins.size_tie}
    not_small = _bits(i for i, area in areas.items() if area >= high / margins.size_ratio)
    not_large = _bits(i for i, area in areas.items() if area <= low * margins.size_ratio)
    extensions = {}
    ratios = (("large", "small", margins.size_ratio), ("huge", "tiny", margins.size_extreme))
    for large, small, ratio in ratios:
        extensions[large] = Extension(_bits(i for i in top if top[i] >= low * ratio), not_small)
        extensions[small] = Extension(_bits(i for i in bottom if bottom[i] <= high / ratio), not_large)
    return extensions


def colours(instances: Sequence[Instance], group: Sequence[int]) -> dict[str, Extension]:
    """The objects of one category that each colour is true of; nothing where a colour is unknown."""
    if not all(instances[i].colours for i in group):
        return {}
    members: dict[str, int] = {}
    for i in group:
        for colour in dict.fromkeys(instances[i].colours):
            members[colour] = members.get(colour, 0) | 1 << i
    for i in group:
        if len(pair := tuple(dict.fromkeys(instances[i].colours))[:2]) == 2:
            members[" and ".join(pair)] = members[pair[0]] & members[pair[1]]
    return {phrase: Extension(bits, bits) for phrase, bits in members.items()}


def shapes(instances: Sequence[Instance], group: Sequence[int]) -> dict[str, Extension]:
    """The objects of one category that each shape is true of; what is unknown could be any shape to some."""
    members: dict[str, int] = {}
    unknown = 0
    for i in group:
        shape = instances[i].shape
        if shape is None:
            unknown |= 1 << i
        elif shape:
            members[shape] = members.get(shape, 0) | 1 << i
    return {
        shape: Extension(bits, bits | unknown | members.get(NEAR_SYNONYMS.get(shape, shape), 0))
        for shape, bits in members.items()
    }


def _inside(point: tuple[float, float], box: tuple[float, float, float, float]) -> bool:
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]


def relations(
    instances: Sequence[Instance], landmark: int, height: int, width: int, margins: Margins
) -> dict[str, Extension]:
    """The objects that stand in each direction from a landmark, by phrase."""
    anchor = instances[landmark]
    (anchor_x, anchor_y), least = anchor.centre, margins.relation_distance * min(height, width)
    strict, lenient = [0] * 8, [0] * 8
    for i, subject in enumerate(instances):
        if i == landmark:
            continue
        x, y = subject.centre
        close = math.hypot(x - anchor_x, y - anchor_y) < least
        overlap = close or _inside((x, y), anchor.box) or _inside(anchor.centre, subject.box)
        turn = math.degrees(math.atan2(y - anchor_y, x - anchor_x)) / 45
        for k in range(8):
            off = 45 * abs((turn - k + 4) % 8 - 4)
            if off <= 22.5 - margins.relation_angle and not overlap:
                strict[k] |= 1 << i
            if close or off <= (margins.diagonal_reach if k % 2 else margins.cardinal_reach):
                lenient[k] |= 1 << i
    return {phrase: Extension(strict[k], lenient[k]) for k, phrase in enumerate(DIRECTIONS)}


def comparisons(instances: Sequence[Instance], landmark: int, margins: Margins) -> dict[str, Extension]:
    """The objects whose size compares in each way with a landmark's, by phrase."""
    little_from, little_to = margins.little_from, margins.little_to
    strict, lenient = dict.fromkeys(COMPARISONS, 0), dict.fromkeys(COMPARISONS, 0)
    for i, subject in enumerate(instances):
        if i == landmark:
            continue
        ratio = subject.area / instances[landmark].area
        side, ratio = ("bigger", ratio) if ratio >= 1 else ("smaller", 1 / ratio)
        if ratio < little_from:
            lenient["similar in size to"] |= 1 << i
            strict["similar in size to"] |= (ratio <= margins.similar) << i
        if margins.similar < ratio < margins.much:
            lenient[f"a little {side} than"] |= 1 << i
            strict[f"a little {side} than"] |= (little_from <= ratio <= little_to) << i
        if ratio > little_to:
            lenient[f"much {side} than"] |= 1 << i
            strict[f"much {side} than"] |= (ratio >= margins.much) << i
    return {phrase: Extension(strict[phrase], lenient[phrase]) for phrase in COMPARISONS}


def superlatives(instances: Sequence[Instance], group: Sequence[int], margins: Margins) -> dict[str, int]:
    """The one object of a category (two or more) that is clearly the largest or smallest, by word."""
    ranked = sorted(group, key=lambda i: instances[i].area)
    found = {}
    if instances[ranked[-1]].area >= margins.superlative * instances[ranked[-2]].area:
        found["largest"] = ranked[-1]
    if instances[ranked[1]].area >= margins.superlative * instances[ranked[0]].area:
        found["smallest"] = ranked[0]
    return found


def ordinals(
    instances: Sequence[Instance], group: Sequence[int], height: int, width: int, margins: Margins
) -> Iterator[tuple[str, int, int]]:
    """Side ("left"), rank from it (0 is the nearest) and the one object of a category that has it.

    Ranks 0, 1 and 2 are counted; the last of the row is left to the other side.
    """
    for axis, length, sides in ((0, width, ("left", "right")), (1, height, ("top", "bottom"))):
        at = {i: instances[i].centre[axis] for i in group}
        ranked = sorted(group, key=at.__getitem__)
        # wide[r]: the step from rank r - 1 to rank r is wide enough; both ends are open
        gap = margins.rank_gap * length
        wide = [True, *(at[b] - at[a] >= gap for a, b in itertools.pairwise(ranked)), True]
        last = len(ranked) - 1
        for rank in range(min(3, last)):
            if wide[rank] and wide[rank + 1]:
                yield sides[0], rank, ranked[rank]
            if wide[last - rank] and wide[last - rank + 1]:
                yield sides[1], rank, ranked[last - rank]
