"""Instances of a scene -> expressions that are true of exactly one of them.

The manner is RRSIS-D's: "The ship at the bottom", "A orange and red large oval ground track field", "A
vehicle is on the upper left of the vehicle on the lower right", "The ship is a little bigger than the red
ship" (its article is never "An"); superlatives and ordinals are added ("The second ship from the left"). What
the words mean, and the margin of each, is written in `sbanet.data.predicates`. An expression is made only if
it is

- *true of one*: strictly true of its referent, and not even leniently true of any other object. The same
  holds for the phrase that describes a landmark. A relation or comparison has at least two objects of the
  referent's category to choose from, the landmark not counted.
- *minimal*: without any one of its modifiers, its own or its landmark's, it is strictly true of two or more
  (where its landmark becomes ambiguous: of two or more when any of the possible landmarks will do).

So its tags are the skills that it needs: those of its modifiers wherever they stand, and ("category",) alone
where the category resolves it. "Small" is size; "smallest" and "smaller than" are comparison.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from sbanet.data.phrases import Phrasebook, Sentence
from sbanet.data.predicates import Margins

SKILLS = ("category", "colour", "size", "shape", "position", "relation", "comparison", "ordinal")
"""What an expression can demand of its reader; the tags of every generated sample."""

STANDARD_MIX: Mapping[str, float] = MappingProxyType(
    {
        "category": 0.07,
        "colour": 0.10,
        "size": 0.13,
        "shape": 0.22,
        "position": 0.15,
        "relation": 0.19,
        "comparison": 0.08,
        "ordinal": 0.06,
    }
)
"""How often each skill is asked for at standard difficulty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One object of a scene, as far as language can speak of it.

    Attributes:
        category: in plain words, lower case ("ground track field").
        box: (x0, y0, x1, y1) of the visible pixels, in pixels.
        area: number of visible pixels.
        colours: colour words, the dominant first; empty where unknown.
        shape: one shape word or phrase ("oval", "slender", "frustum of a cone"); "" where clearly none of them
            is true, None where unknown or a matter of taste.
    """

    category: str
    box: tuple[float, float, float, float]
    area: float
    colours: tuple[str, ...] = ()
    shape: str | None = None

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y) of the box's middle, in pixels."""
        x0, y0, x1, y1 = self.box
        return (x0 + x1) / 2, (y0 + y1) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """A sentence, the index of the one instance it is true of, and the skills it needs."""

    text: str
    referent: int
    skills: tuple[str, ...]


class Grammar:
    """Writes the unambiguous expressions of scenes.

    Args:
        mix: how often `sample` asks for each skill, as weights. A skill left out is not asked for, but a
            sentence drawn for one skill may need others too. The weights of skills that a scene cannot offer
            go to the others.
        margins: the numbers in the meaning of the words.
        max_modifiers: most modifiers of the referent: colour, size, shape, position.
        max_landmark_modifiers: most modifiers of the landmark in relations and comparisons.

    Raises:
        ValueError: an unknown skill, weights that are negative, not finite or all 0, or a negative limit.
    """

    def __init__(
        self,
        *,
        mix: Mapping[str, float] = STANDARD_MIX,
        margins: Margins | None = None,
        max_modifiers: int = 3,
        max_landmark_modifiers: int = 1,
    ) -> None:
        if unknown := sorted(set(mix) - set(SKILLS)):
            raise ValueError(f"mix names the unknown skills {unknown}; the skills are {', '.join(SKILLS)}")
        if not all(math.isfinite(weight) and weight >= 0 for weight in mix.values()) or not any(mix.values()):
            raise ValueError(f"mix needs weights of 0 or more, at least one above 0; got {dict(mix)}")
        if max_modifiers < 0 or max_landmark_modifiers < 0:
            raise ValueError(
                "max_modifiers and max_landmark_modifiers must be 0 or more; "
                f"got {max_modifiers} and {max_landmark_modifiers}"
            )
        self.mix = {skill: float(mix[skill]) for skill in SKILLS if mix.get(skill, 0) > 0}
        self.margins = margins if margins is not None else Margins()
        self.max_modifiers = max_modifiers
        self.max_landmark_modifiers = max_landmark_modifiers

    def expressions(
        self, instances: Sequence[Instance], height: int, width: int, rng: np.random.Generator
    ) -> list[Expression]:
        """All unambiguous expressions of a scene, each in one of its wordings.

        Args:
            instances: the visible objects.
            height: of the image, pixels.
            width: of the image, pixels.
            rng: draws articles and the order of adjectives.

        Raises:
            ValueError: an object without visible pixels, or an image without any.
        """
        return [_worded(sentence, rng) for sentence in self._sentences(instances, height, width)]

    def sample(
        self, instances: Sequence[Instance], height: int, width: int, rng: np.random.Generator, count: int
    ) -> list[Expression]:
        """At most `count` different expressions of a scene, their skills drawn by the mix.

        No object is meant twice before each has been meant once, as far as the mix allows, and the categories
        take turns. Fewer come back where the scene has no more.

        Args:
            instances: the visible objects.
            height: of the image, pixels.
            width: of the image, pixels.
            rng: draws everything; the same state gives the same expressions.
            count: most expressions to return.

        Raises:
            ValueError: an object without visible pixels, or an image without any.
        """
        offer = _Offer(self._sentences(instances, height, width), self.mix)
        drawn: list[Expression] = []
        turns = dict.fromkeys((instance.category for instance in instances), 0)
        while len(drawn) < count and (referents := offer.least_used()):
            skill = _weighted([(skill, self.mix[skill]) for skill in offer.skills(referents)], rng)
            able = [i for i in referents if offer.has(skill, i)]
            fewest = min(turns[instances[i].category] for i in able)
            referent = _uniform([i for i in able if turns[instances[i].category] == fewest], rng)
            turns[instances[referent].category] += 1
            drawn.append(_worded(offer.take(skill, referent, rng), rng))
        return drawn

    def _sentences(self, instances: Sequence[Instance], height: int, width: int) -> list[Sentence]:
        if height <= 0 or width <= 0:
            raise ValueError(f"a scene needs an image of at least 1x1 pixels; got {height}x{width}")
        for i, instance in enumerate(instances):
            if not instance.area > 0:
                raise ValueError(
                    f"instance {i} ({instance.category}) has an area of {instance.area}; "
                    "only visible objects can be spoken of: leave it out"
                )
        book = Phrasebook(instances, height, width, self.margins)
        return list(book.sentences(self.max_modifiers, self.max_landmark_modifiers))


_LINKS = frozenset({"relation", "comparison"})
_T = TypeVar("_T")


class _Offer:
    """The sentences of a scene that have not been taken yet, by skill and referent.

    A sentence of several modifiers answers to each of their skills; a relation or comparison to itself alone.
    """

    def __init__(self, sentences: Sequence[Sentence], mix: Mapping[str, float]) -> None:
        self._by_skill: dict[str, dict[int, list[Sentence]]] = {skill: {} for skill in mix}
        self._uses: dict[int, int] = {}
        for sentence in sentences:
            for skill in self._answers(sentence):
                if skill in mix:
                    self._by_skill[skill].setdefault(sentence.referent, []).append(sentence)
                    self._uses[sentence.referent] = 0

    @staticmethod
    def _answers(sentence: Sentence) -> tuple[str, ...]:
        return sentence.skills[-1:] if sentence.skills[-1] in _LINKS else sentence.skills

    def least_used(self) -> list[int]:
        """The referents meant least often of those with a sentence left."""
        left = {i for referents in self._by_skill.values() for i in referents}
        fewest = min((self._uses[i] for i in left), default=0)
        return [i for i in sorted(left) if self._uses[i] == fewest]

    def skills(self, referents: Sequence[int]) -> list[str]:
        """The skills that some of the referents can be asked with."""
        return [skill for skill, by in self._by_skill.items() if any(i in by for i in referents)]

    def has(self, skill: str, referent: int) -> bool:
        """Whether a sentence is left."""
        return referent in self._by_skill[skill]

    def take(self, skill: str, referent: int, rng: np.random.Generator) -> Sentence:
        """Draw a combination of skills, then one of its sentences, and take it off the offer."""
        by_skills: dict[tuple[str, ...], list[Sentence]] = {}
        for sentence in self._by_skill[skill][referent]:
            by_skills.setdefault(sentence.skills, []).append(sentence)
        taken = _uniform(_uniform(list(by_skills.values()), rng), rng)
        for answered in self._answers(taken):
            left = self._by_skill.get(answered, {}).get(referent, [])
            if taken in left:
                left.remove(taken)
                if not left:
                    del self._by_skill[answered][referent]
        self._uses[referent] += 1
        return taken


def _worded(sentence: Sentence, rng: np.random.Generator) -> Expression:
    return Expression(text=sentence.text(rng), referent=sentence.referent, skills=sentence.skills)


def _uniform(choices: Sequence[_T], rng: np.random.Generator) -> _T:
    return choices[int(rng.random() * len(choices))]


def _weighted(choices: Sequence[tuple[_T, float]], rng: np.random.Generator) -> _T:
    left = rng.random() * sum(weight for _, weight in choices)
    for choice, weight in choices:
        left -= weight
        if left < 0:
            return choice
    return choices[-1][0]
