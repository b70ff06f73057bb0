"""An independent reader of the grammar's sentences.

It parses the text and looks for the objects that the sentence is true of; it has its own word lists, its own
semantics and its own numbers, and knows nothing of `sbanet.data.grammar` but the type of an instance.

A sentence is read three times. `PLAIN` draws the borders between words where a dictionary would; `STRICT` and
`LENIENT` move them to either side, a little less far than the grammar's margins promise.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sbanet.data.grammar import Instance

COLOURS = {"red", "orange", "yellow", "green", "blue", "gray", "black", "white", "brown", "purple", "cyan"}
SHAPES = ["frustum of a cone", "oval", "slender", "long", "rectangular", "rounded"]
FAMILIES = [{"slender", "long"}, {"oval", "rounded"}]
SIZES = {"large": (+1, 1), "huge": (+1, 2), "small": (-1, 1), "tiny": (-1, 2)}
COUNT = {"first": 1, "second": 2, "third": 3}
PLACES = {
    "on the upper left": (-1, -1), "on the top": (0, -1), "on the upper right": (1, -1),
    "on the left": (-1, 0), "in the middle": (0, 0), "on the right": (1, 0),
    "on the lower left": (-1, 1), "at the bottom": (0, 1), "on the lower right": (1, 1),
}  # fmt: skip
WAYS = {
    "on the upper left of": (-1, -1), "above": (0, -1), "on the upper right of": (1, -1),
    "on the left of": (-1, 0), "on the right of": (1, 0),
    "on the lower left of": (-1, 1), "below": (0, 1), "on the lower right of": (1, 1),
}  # fmt: skip
LIKENESS = re.compile(r"similar in size to|(a little|much) (bigger|smaller) than")


@dataclass(frozen=True)
class Reading:
    """Where the borders between words are."""

    grid: float  # how far the cells of the 3x3 grid reach over their borders, fraction of the side
    whole_sides: bool  # "on the left" is the whole left third
    extreme: float  # the large are within this factor of the largest
    contrast: tuple[float, float]  # and at least these factors above the smallest: large, huge
    families: bool  # kindred shapes are the same; what is unknown may be anything
    near: float  # closer than this (fraction of the shorter side) there is no direction
    near_counts: bool  # and then all of them hold, or none
    straight: float  # half the sector of above, below, left, right, degrees
    oblique: float  # half the sector of the others
    similar: float
    little: tuple[float, float]
    much: float
    lead: float  # the largest is this factor above the next; below 1: almost the largest will do
    step: float  # ranks are this far apart; below 0: ranks closer than this are confused


STRICT = Reading(-0.035, False, 1.25, (1.65, 3.4), False, 0.075, False, 17, 17, 1.13, (1.34, 2.02), 2.98, 1.28, 0.045)
PLAIN = Reading(0.0, False, 1.4, (1.5, 2.5), False, 0.0, True, 22.5, 22.5, 1.25, (1.25, 2.5), 2.5, 1.0, 0.0)
LENIENT = Reading(0.035, True, 1.68, (1.0, 1.0), True, 0.075, True, 73, 44, 1.33, (1.13, 2.98), 2.02, 1 / 1.28, -0.045)


@dataclass(frozen=True)
class Noun:
    category: str
    colours: tuple[str, ...] = ()
    size: str | None = None
    shape: str | None = None
    place: str | None = None
    most: str | None = None  # largest, smallest
    rank: tuple[int, str] | None = None  # (2, "left")


@dataclass(frozen=True)
class Meaning:
    subject: Noun
    link: str | None = None
    landmark: Noun | None = None

    def skills(self) -> set[str]:
        return {skill for skill, _ in self.reductions()} or {"category"}

    def reductions(self) -> Iterator[tuple[str, Meaning]]:
        """Each modifier's skill, with what is left without it."""
        if self.link is not None:
            yield ("relation" if self.link in WAYS else "comparison"), Meaning(self.subject)
        for part in ("subject", "landmark"):
            noun = getattr(self, part)
            for skill, name in (
                ("colour", "colours"), ("size", "size"), ("shape", "shape"), ("position", "place"),
                ("comparison", "most"), ("ordinal", "rank"),
            ):  # fmt: skip
                if noun is not None and getattr(noun, name):
                    bare = replace(noun, **{name: () if name == "colours" else None})
                    yield skill, replace(self, **{part: bare})


def parse(text: str, categories: Sequence[str]) -> Meaning:
    """The meaning of a sentence about objects of known categories."""
    links = "|".join([*sorted(WAYS, key=len, reverse=True), LIKENESS.pattern])
    whole = re.fullmatch(rf"(?:A|The) (?P<head>.+?)(?: is (?P<link>{links}) the (?P<tail>.+))?", text)
    if whole is None:
        raise ValueError(f"not a sentence of the grammar: {text!r}")
    tail = whole["tail"]
    return Meaning(
        _noun(whole["head"], categories), whole["link"], _noun(tail, categories) if tail is not None else None
    )


def _noun(text: str, categories: Sequence[str]) -> Noun:
    names = "|".join(map(re.escape, sorted(categories, key=len, reverse=True)))
    parts = re.fullmatch(rf"(?P<before>(?:.+ )?)(?P<category>{names})(?P<after>(?: .+)?)", text)
    if parts is None:
        raise ValueError(f"no category of the scene in {text!r}")
    found: dict[str, object] = {"category": parts["category"]}
    before, after = parts["before"].strip(), parts["after"].strip()

    def put(name: str, value: object) -> None:
        if name in found:
            raise ValueError(f"two of a kind in {text!r}")
        found[name] = value

    for shape in SHAPES:
        if re.search(rf"\b{shape}\b", before):
            put("shape", shape)
            before = re.sub(rf"\b{shape}\b", "", before, count=1)
    words = before.split()
    while words:
        word = words.pop(0)
        if word in COLOURS:
            second = words[1] if words[:1] == ["and"] else None
            del words[: 2 if second else 0]
            put("colours", (word, second) if second else (word,))
        elif word in SIZES:
            put("size", word)
        elif word in ("largest", "smallest"):
            put("most", word)
        elif word in ("leftmost", "rightmost"):
            put("rank", (1, word.removesuffix("most")))
        elif word in COUNT and after.startswith("from the "):
            put("rank", (COUNT[word], after.removeprefix("from the ")))
            after = ""
        else:
            raise ValueError(f"unknown word {word!r} in {text!r}")
    if after:
        if after not in PLACES:
            raise ValueError(f"unknown place {after!r} in {text!r}")
        put("place", after)
    return Noun(**found)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Reader:
    """Looks at a scene in one reading."""

    instances: Sequence[Instance]
    height: int
    width: int
    reading: Reading

    def true_of(self, meaning: Meaning) -> set[int]:
        """The objects of which the sentence is true, whichever of its possible landmarks is meant."""
        subjects = self.named(meaning.subject)
        if meaning.landmark is None:
            return subjects
        return {
            subject
            for landmark in self.named(meaning.landmark)
            for subject in subjects - {landmark}
            if self._linked(subject, meaning.link, landmark)
        }

    def named(self, noun: Noun) -> set[int]:
        """The objects that a noun phrase may stand for."""
        kin = [i for i, instance in enumerate(self.instances) if instance.category == noun.category]
        return {
            i
            for i in kin
            if self._coloured(i, noun.colours)
            and (noun.size is None or self._sized(i, noun.size, kin))
            and (noun.shape is None or self._shaped(i, noun.shape))
            and (noun.place is None or self._placed(i, noun.place))
            and (noun.most is None or self._most(i, noun.most, kin))
            and (noun.rank is None or self._ranked(i, noun.rank, kin))
        }

    def _middle(self, i: int) -> tuple[float, float]:
        left, top, right, bottom = self.instances[i].box
        return left + (right - left) / 2, top + (bottom - top) / 2

    def _coloured(self, i: int, colours: Sequence[str]) -> bool:
        own = self.instances[i].colours
        return set(colours) <= set(own) or (self.reading.families and not own)

    def _shaped(self, i: int, shape: str) -> bool:
        own = self.instances[i].shape
        if not self.reading.families:
            return own == shape
        return own is None or own == shape or any({own, shape} <= family for family in FAMILIES)

    def _sized(self, i: int, size: str, kin: Sequence[int]) -> bool:
        sign, degree = SIZES[size]
        # Small is large for the reciprocals.
        value = {k: self.instances[k].area ** sign for k in kin}
        above = value[i] / min(value.values())
        return value[i] * self.reading.extreme >= max(value.values()) and above >= self.reading.contrast[degree - 1]

    def _placed(self, i: int, place: str) -> bool:
        column, row = PLACES[place]
        x, y = self._middle(i)
        across = self._third(x / self.width, column)
        down = self._third(y / self.height, row)
        if self.reading.whole_sides and (column == 0) != (row == 0):
            return across if column else down
        return across and down

    def _third(self, at: float, which: int) -> bool:
        """Whether a coordinate is in the first (-1), middle (0) or last (1) third; the rim is no border."""
        reach = self.reading.grid
        if which == 0:
            return abs(at - 0.5) <= 1 / 6 + reach
        return (0.5 - at) * -which >= 1 / 6 - reach

    def _most(self, i: int, word: str, kin: Sequence[int]) -> bool:
        sign = 1 if word == "largest" else -1
        value = self.instances[i].area ** sign
        return all(value >= self.reading.lead * self.instances[k].area ** sign for k in kin if k != i)

    def _ranked(self, i: int, rank: tuple[int, str], kin: Sequence[int]) -> bool:
        number, side = rank
        axis = 0 if side in ("left", "right") else 1
        length = self.width if axis == 0 else self.height
        sign = 1 if side in ("left", "top") else -1
        at = {k: sign * self._middle(k)[axis] / length for k in kin}
        others = [at[k] - at[i] for k in kin if k != i]
        if self.reading.step > 0 and any(abs(other) < self.reading.step for other in others):
            return False
        blur = max(0.0, -self.reading.step)
        surely_before = sum(other < -blur for other in others)
        perhaps_before = sum(other < blur for other in others)
        return surely_before <= number - 1 <= perhaps_before

    def _linked(self, i: int, link: str | None, landmark: int) -> bool:
        if link in WAYS:
            return self._stands(i, WAYS[link], landmark)
        areas = sorted((self.instances[i].area, self.instances[landmark].area))
        ratio = areas[1] / areas[0]
        match = LIKENESS.fullmatch(link or "")
        assert match is not None
        if match[1] is None:
            return ratio <= self.reading.similar
        if (match[2] == "bigger") != (self.instances[i].area > self.instances[landmark].area):
            return False
        if match[1] == "much":
            return ratio >= self.reading.much
        return self.reading.little[0] <= ratio <= self.reading.little[1]

    def _stands(self, i: int, way: tuple[int, int], landmark: int) -> bool:
        (x, y), (x0, y0) = self._middle(i), self._middle(landmark)
        dx, dy = x - x0, y - y0
        distance = math.sqrt(dx * dx + dy * dy)
        if distance < self.reading.near * min(self.height, self.width) or distance == 0:
            return self.reading.near_counts
        along = (dx * way[0] + dy * way[1]) / math.sqrt(way[0] ** 2 + way[1] ** 2)
        half = self.reading.oblique if 0 not in way else self.reading.straight
        return along >= distance * math.cos(math.radians(half))
