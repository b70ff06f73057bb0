"""Every sentence that singles out one object of a scene, before its words are put in order.

Sets of objects are bit sets (bit i = instance i), so a phrase of several modifiers is an `&` of integers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sbanet.data import predicates
from sbanet.data.predicates import Extension, Margins

if TYPE_CHECKING:
    from sbanet.data.grammar import Instance

RANKS = ("first", "second", "third")
"""The words of the ranks that `predicates.ordinals` counts."""


class Modifier(NamedTuple):
    """Words that narrow a category, with the skill that they ask for."""

    skill: str
    words: str
    extension: Extension


class Noun(NamedTuple):
    """A noun phrase without its article; its adjectives may stand in any order."""

    adjectives: tuple[str, ...]
    category: str
    place: str = ""

    def text(self, rng: np.random.Generator) -> str:
        """The phrase, its adjectives in an order drawn from `rng`."""
        # Only `random` is drawn from: unlike `shuffle`, its stream is the same in every version of numpy.
        adjectives: list[str] = []
        for adjective in self.adjectives:
            place = int(rng.random() * (len(adjectives) + 1)) if adjectives else 0
            adjectives.insert(place, adjective)
        return " ".join([*adjectives, self.category, *([self.place] if self.place else [])])


class Sentence(NamedTuple):
    """A sentence that is true of its referent alone, and the skills it needs, in the order of `SKILLS`.

    `link` and `landmark` are those of a relation or comparison; `definite` forbids the article "A".
    """

    referent: int
    skills: tuple[str, ...]
    subject: Noun
    link: str = ""
    landmark: Noun | None = None
    definite: bool = False

    def text(self, rng: np.random.Generator) -> str:
        """The sentence, with the article and the orders that RRSIS-D leaves to chance drawn from `rng`."""
        article = "The" if self.definite or rng.random() < 0.5 else "A"
        text = f"{article} {self.subject.text(rng)}"
        return text if self.landmark is None else f"{text} is {self.link} the {self.landmark.text(rng)}"


class Phrasebook:
    """What can be said of the objects of one scene.

    Args:
        instances: the scene's objects.
        height: of the image, pixels.
        width: of the image, pixels.
        margins: the numbers in the meaning of the words.
    """

    def __init__(self, instances: Sequence[Instance], height: int, width: int, margins: Margins) -> None:
        self._instances, self._height, self._width, self._margins = instances, height, width, margins
        self._groups: dict[str, list[int]] = {}
        for i, instance in enumerate(instances):
            self._groups.setdefault(instance.category, []).append(i)
        self._members = {category: sum(1 << i for i in group) for category, group in self._groups.items()}
        self._links: dict[int, dict[str, tuple[str, Extension]]] = {}
        self._modifiers: list[list[list[Modifier]]] = [[] for _ in instances]
        places = predicates.positions(instances, height, width, margins)
        for group in self._groups.values():
            if len(group) > 1:
                self._collect("colour", predicates.colours(instances, group), group)
                self._collect("size", predicates.sizes(instances, group, margins), group)
                self._collect("shape", predicates.shapes(instances, group), group)
                self._collect("position", places, group)

    def sentences(self, max_modifiers: int, max_landmark_modifiers: int) -> Iterator[Sentence]:
        """All valid sentences, with at most so many modifiers of the referent, or of the landmark."""
        for i in range(len(self._instances)):
            for modifiers in self._descriptions(i, max_modifiers):
                skills = tuple(modifier.skill for modifier in modifiers) or ("category",)
                yield Sentence(i, skills, self._noun(i, modifiers))
        yield from self._ranked()
        yield from self._linked(max_landmark_modifiers)

    def _collect(self, skill: str, extensions: Mapping[str, Extension], group: Sequence[int]) -> None:
        """Note for each object of a category the phrases of a skill that are strictly true of it."""
        for i in group:
            true = [Modifier(skill, words, e) for words, e in extensions.items() if e.strict >> i & 1]
            if true:
                self._modifiers[i].append(true)

    def _noun(self, i: int, modifiers: Sequence[Modifier]) -> Noun:
        adjectives = tuple(modifier.words for modifier in modifiers if modifier.skill != "position")
        places = [modifier.words for modifier in modifiers if modifier.skill == "position"]
        return Noun(adjectives, self._instances[i].category, *places)

    def _descriptions(self, i: int, limit: int) -> Iterator[tuple[Modifier, ...]]:
        """The minimal sets of at most `limit` modifiers, one a skill, that tell an object from its kin."""
        members = self._members[self._instances[i].category]
        referent = 1 << i
        if members == referent:
            yield ()
            return
        # What resolves already is never extended: each further modifier would be redundant.
        growing: list[tuple[tuple[Modifier, ...], int, int]] = [((), members, 0)]
        for _ in range(limit):
            grown = []
            for chosen, lenient, start in growing:
                for level in range(start, len(self._modifiers[i])):
                    for modifier in self._modifiers[i][level]:
                        left = lenient & modifier.extension.lenient
                        if left != referent:
                            grown.append(((*chosen, modifier), left, level + 1))
                        elif all(rest != referent for rest in _reduced((*chosen, modifier), members)):
                            yield (*chosen, modifier)
            growing = grown

    def _ranked(self) -> Iterator[Sentence]:
        """Superlatives and ordinals."""
        for category, group in self._groups.items():
            if len(group) < 2:
                continue
            for word, i in predicates.superlatives(self._instances, group, self._margins).items():
                yield Sentence(i, ("comparison",), Noun((word,), category), definite=True)
            for side, rank, i in predicates.ordinals(self._instances, group, self._height, self._width, self._margins):
                noun = Noun((RANKS[rank],), category, f"from the {side}")
                yield Sentence(i, ("ordinal",), noun, definite=True)
                if rank == 0 and side in ("left", "right"):
                    yield Sentence(i, ("ordinal",), Noun((f"{side}most",), category), definite=True)

    def _linked(self, limit: int) -> Iterator[Sentence]:
        """Relations and comparisons, with every landmark that at most `limit` modifiers describe."""
        subjects = [(category, bits) for category, bits in self._members.items() if bits & bits - 1]
        for landmark in range(len(self._instances)):
            described = list(self._descriptions(landmark, limit)) if subjects else []
            for link, (skill, extension) in self._links_of(landmark).items() if described else ():
                for category, members in subjects:
                    others = members & ~(1 << landmark)
                    referent = others & extension.lenient
                    # One object, strictly, and at least one more of its category to tell it from.
                    if not referent or referent & referent - 1 or referent == others:
                        continue
                    if not referent & extension.strict:
                        continue
                    i, subject = referent.bit_length() - 1, Noun((), category)
                    for modifiers in described:
                        if self._needed(modifiers, link, landmark, members, referent):
                            skills = (*(modifier.skill for modifier in modifiers), skill)
                            yield Sentence(i, skills, subject, link, self._noun(landmark, modifiers))

    def _needed(self, modifiers: tuple[Modifier, ...], link: str, landmark: int, members: int, referent: int) -> bool:
        """Whether each of a landmark's modifiers is needed to find the referent, not only the landmark."""
        kin = self._members[self._instances[landmark].category]
        for rest in _reduced(modifiers, kin):
            subjects = 0
            for i in range(len(self._instances)):
                if rest >> i & 1:
                    subjects |= members & self._links_of(i)[link][1].strict
            if subjects == referent:
                return False
        return True

    def _links_of(self, landmark: int) -> dict[str, tuple[str, Extension]]:
        """The skill and the extension of every link to a landmark, by phrase."""
        if landmark not in self._links:
            size = self._height, self._width
            relations = predicates.relations(self._instances, landmark, *size, self._margins)
            comparisons = predicates.comparisons(self._instances, landmark, self._margins)
            self._links[landmark] = {
                **{phrase: ("relation", extension) for phrase, extension in relations.items()},
                **{phrase: ("comparison", extension) for phrase, extension in comparisons.items()},
            }
        return self._links[landmark]


def _reduced(modifiers: tuple[Modifier, ...], members: int) -> Iterator[int]:
    """What of `members` is strictly left when each modifier in turn is dropped."""
    for dropped in range(len(modifiers)):
        left = members
        for k, modifier in enumerate(modifiers):
            if k != dropped:
                left &= modifier.extension.strict
        yield left
