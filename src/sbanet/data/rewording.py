"""What a sentence says once its picture has been flipped or turned, and which sentences speak of colour.

Every word of the vocabulary has a `Kind`, and only `Kind.DIRECTION` says anything else after a symmetry. A
direction is said by a phrase, and a phrase is all that is rewritten: `ROSES` lists them, each rose being the
phrases that differ in nothing but where they point. As a symmetry permutes the places of a rose, rewriting
obeys the same laws as turning the picture: flipped twice or turned four times, a sentence is itself again.

A sentence is left alone (`reword` returns None) rather than risked where

- it has a word without a kind: it may be another direction ("north", "vertical", "beside");
- a word of direction stands outside the phrases ("the lower bridge", "right above the dam");
- its rose has no phrase for the new direction (what is "leftmost" of a turned picture?).

What each flip does to the words follows: the horizontal one swaps left and right, leftmost and rightmost; the
vertical one upper and lower, above and below, top and bottom with their prepositions ("on the top", "at the
bottom"). A quarter turn takes phrase for phrase ("on the left of" to "above"). All other words stay.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import Enum, auto
from typing import NamedTuple

from sbanet.data.symmetries import IDENTITY, Symmetry


class Kind(Enum):
    """What a word speaks of, as far as flips, turns and colour changes care."""

    OBJECT = auto()
    COLOUR = auto()
    FORM = auto()
    STATE = auto()
    GRAMMAR = auto()
    DIRECTION = auto()


_KINDS = {
    # Things; those that are no objects by themselves stand in the name of one ("ground track field").
    Kind.OBJECT: "airplane airport area baseball basketball bridge car chimney court courts dam expressway field"
    " fields golf ground harbor overpass service ship stadium station storage tank tanks tennis toll track train"
    " vehicle vehicles windmill",
    Kind.COLOUR: "black blue brown cyan dark gray green light orange purple red white yellow",
    # Sizes and shapes, which no symmetry changes; none of these says which way an object lies.
    Kind.FORM: "big bigger cone frustum huge large largest little long longest much oval rectangular rounded similar"
    " size slender small smaller smallest tiny",
    # "Driving", "going" and "running" name no direction here: what is passed "through" is turned along.
    Kind.STATE: "anchored driving going lying parked running",
    # The middle of a picture stays where it is; "far" measures a distance and "third" counts from a side, which
    # the phrase beside them names. "on", "at", "of", "the", "from" change only as parts of a phrase.
    Kind.GRAMMAR: "a all and at far first from has in is it middle of on second than the third through to with",
    Kind.DIRECTION: "above below bottom left leftmost lower right rightmost top upper",
}

WORDS = {word: kind for kind, words in _KINDS.items() for word in words.split()}
"""The kind of every word of `sbanet.data.vocabulary`."""

COLOURS = frozenset(word for word, kind in WORDS.items() if kind is Kind.COLOUR)
"""What a change of hue or saturation makes false."""

SHADES = frozenset({"black", "brown", "dark", "gray", "light", "white"})
"""What a change of brightness makes false; brown is a dark orange."""


class Rose(NamedTuple):
    """Phrases of one manner by bearing, clockwise from the top; "" where there is none.

    `then` is a regular expression for what must follow, so that "on the left" is told from "on the left of".
    """

    phrases: tuple[str, str, str, str, str, str, str, str]
    then: str


_NOT_OF = r"(?!\W+of\b)"
_THE_LANDMARK = r"(?= (?:a|all|the)\b)"
_THE_END = r"(?=\W*\Z)"

PLACES = (
    # Positions. RRSIS-D's 17,402 sentences say "on the top" (720 times; "at the top" never) and "at the bottom"
    # (1,376 times; "on the bottom" 5 times), so these two are opposites, and the unusual ones are each other's. A
    # corner of two sides ("bottom right") comes before the side that it begins with.
    Rose(("", "on the top right", "", "on the bottom right", "", "on the bottom left", "", "on the top left"), _NOT_OF),
    Rose(("", "at the top right", "", "at the bottom right", "", "at the bottom left", "", "at the top left"), _NOT_OF),
    Rose(("", "in the top right", "", "in the bottom right", "", "in the bottom left", "", "in the top left"), _NOT_OF),
    Rose(
        ("on the top", "on the upper right", "on the right", "on the lower right",
         "at the bottom", "on the lower left", "on the left", "on the upper left"), _NOT_OF,
    ),
    Rose(
        ("at the top", "at the upper right", "at the right", "at the lower right",
         "on the bottom", "at the lower left", "at the left", "at the upper left"), _NOT_OF,
    ),
    Rose(
        ("in the top", "in the upper right", "in the right", "in the lower right",
         "in the bottom", "in the lower left", "in the left", "in the upper left"), _NOT_OF,
    ),
    # "On the far right", "at the bottom far right"; nobody says "far top".
    Rose(("", "", "far right", "", "", "", "far left", ""), ""),
)  # fmt: skip
"""Phrases that say where in the picture the object is."""

ROSES = (
    *PLACES,
    # "On the left of the bottom".
    Rose(
        ("the top", "the upper right", "the right", "the lower right",
         "the bottom", "the lower left", "the left", "the upper left"), _THE_END,
    ),
    # Relations to a landmark. They are meant in the picture, whatever passes over what on the ground.
    Rose(
        ("above", "on the upper right of", "on the right of", "on the lower right of",
         "below", "on the lower left of", "on the left of", "on the upper left of"), _THE_LANDMARK,
    ),
    Rose(
        ("", "to the upper right of", "to the right of", "to the lower right of",
         "", "to the lower left of", "to the left of", "to the upper left of"), _THE_LANDMARK,
    ),
    # "On the left of the airplane above".
    Rose(("above", "", "", "", "below", "", "", ""), _THE_END),
    # Ordinals, of the grammar alone.
    Rose(
        ("from the top", "from the upper right", "from the right", "from the lower right",
         "from the bottom", "from the lower left", "from the left", "from the upper left"), _NOT_OF,
    ),
    Rose(("", "", "rightmost", "", "", "", "leftmost", ""), ""),
)  # fmt: skip
"""Every phrase that says a direction. No two of them can be read from the same words of a sentence."""


def reword(sentence: str, symmetry: Symmetry, names: Collection[str] = ()) -> str | None:
    """The sentence that is true of the picture under a symmetry where `sentence` is true of the picture itself.

    Case, punctuation and spacing are kept.

    Args:
        sentence: English, as RRSIS-D and the grammar write it.
        symmetry: what happens to the picture.
        names: further words, lower case, that are known to name objects and nothing else.

    Returns:
        The sentence; None where it cannot be rewritten for certain.
    """
    if symmetry == IDENTITY:
        return sentence
    if not _unknown(sentence, names).isdisjoint(_words(sentence)) or _undirected(sentence):
        return None
    parts, end = [], 0
    for match in _PHRASE.finditer(sentence):
        phrase = _turned(match, symmetry)
        if phrase is None:
            return None
        parts += [sentence[end : match.start()], phrase]
        end = match.end()
    return "".join([*parts, sentence[end:]])


def may_say(sentence: str, words: Collection[str], names: Collection[str] = ()) -> bool:
    """Whether a sentence says one of the words, or a word without a kind that might mean the same ("grey").

    Args:
        sentence: any English.
        words: lower case.
        names: further words, lower case, that are known to name objects and nothing else.
    """
    return not _words(sentence).isdisjoint(words) or bool(_unknown(sentence, names))


def speaks_of_itself(sentence: str, names: Collection[str] = ()) -> bool:
    """Whether a sentence says of one object what it is, how it looks and where in the picture it is, no more.

    It stays true, then, whatever else of the picture is cut away. No landmark, rank, comparison or size is in it.

    Args:
        sentence: any English.
        names: further words, lower case, that are known to name objects and nothing else.
    """
    rest = _WORD.findall(_APART.sub(" ", sentence).lower())
    one = sum(word in ("a", "an", "the") for word in rest) <= 1
    return one and all(word in names or word in _OF_ITSELF for word in rest)


_OF_ITSELF = frozenset(word for word, kind in WORDS.items() if kind in (Kind.OBJECT, Kind.COLOUR, Kind.STATE)) | {
    "oval", "rectangular", "rounded", "slender", "a", "an", "the", "is"
}  # fmt: skip
_WORD = re.compile(r"\w+")


def _one_of(roses: Collection[Rose], *further: str) -> re.Pattern[str]:
    """What matches the phrases of roses, the group `rose<number>` telling which."""
    phrases = [
        rf"(?P<rose{k}>\b(?:{'|'.join(filter(None, rose.phrases))})\b{rose.then})" for k, rose in enumerate(roses)
    ]
    return re.compile("|".join([*phrases, *further]), re.IGNORECASE)


_PHRASE = _one_of(ROSES)
_APART = _one_of(
    PLACES,
    rf"\b(?:at|in|on) the middle\b{_NOT_OF}",
    r"\bfrustum of a cone\b",
    rf"\band (?:{'|'.join(sorted(COLOURS))})\b",
)
"""What has words that elsewhere say more: places, a shape, a second colour."""


def _words(sentence: str) -> frozenset[str]:
    return frozenset(_WORD.findall(sentence.lower()))


def _unknown(sentence: str, names: Collection[str]) -> frozenset[str]:
    return _words(sentence).difference(WORDS, names)


def _undirected(sentence: str) -> bool:
    """Whether a word of direction stands outside the phrases."""
    return any(WORDS.get(word) is Kind.DIRECTION for word in _words(_PHRASE.sub(" ", sentence)))


def _turned(match: re.Match[str], symmetry: Symmetry) -> str | None:
    """The phrase that takes the place of a matched one."""
    assert match.lastgroup is not None
    phrases = ROSES[int(match.lastgroup.removeprefix("rose"))].phrases
    phrase = phrases[symmetry.bearing(phrases.index(match[0].lower()))]
    if not phrase:
        return None
    before, after = match[0].split(" "), phrase.split(" ")
    if len(before) != len(after):
        return _in_case_of(match[0], phrase)
    words = [_in_case_of(model, word) for model, word in zip(before, after, strict=True)]
    return None if None in words else " ".join(filter(None, words))


def _in_case_of(model: str, text: str) -> str | None:
    """The text in lower case, in capitals or with a capital first, as the model; None where it has another case."""
    for case in (str.lower, str.upper, str.capitalize):
        if case(model) == model:
            return case(text)
    return None
