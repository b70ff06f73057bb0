"""A sentence stays true of its picture under every symmetry, or is left alone."""

import itertools
import pickle
from dataclasses import replace

import numpy as np
import pytest

from sbanet.data.grammar import Grammar, Instance
from sbanet.data.rewording import COLOURS, ROSES, SHADES, WORDS, Kind, may_say, reword, speaks_of_itself
from sbanet.data.symmetries import HORIZONTAL_FLIP, IDENTITY, QUARTER_TURN, SYMMETRIES, VERTICAL_FLIP, Symmetry
from sbanet.data.vocabulary import GRAMMAR_WORDS, RRSISD_WORDS
from tests.data.scene_oracle import LENIENT, PLAIN, STRICT, Reader, parse

HALF_TURN = Symmetry(mirrored=False, turns=2)
FLIPS = {"horizontal": HORIZONTAL_FLIP, "vertical": VERTICAL_FLIP}


@pytest.fixture(scope="module")
def real_sentences(sbanet_data):
    refs = pickle.loads((sbanet_data / "rrsisd_refs" / "refs(unc).p").read_bytes())
    return [sentence["sent"] for ref in refs for sentence in ref["sentences"]]


def test_every_word_of_the_vocabulary_is_decided_once():
    assert sorted(WORDS) == sorted({*RRSISD_WORDS, *GRAMMAR_WORDS})
    assert len(RRSISD_WORDS) == 95
    directions = {word for word, kind in WORDS.items() if kind is Kind.DIRECTION}
    said = {word for rose in ROSES for phrase in rose.phrases for word in phrase.split()}
    assert directions == said & directions, "each word of direction has a phrase"
    assert COLOURS > SHADES


def test_no_phrase_stands_in_two_roses_that_can_be_taken_for_each_other():
    places = [(phrase, rose.then) for rose in ROSES for phrase in rose.phrases if phrase]
    assert len(places) == len(set(places))


@pytest.mark.parametrize(
    ("sentence", "horizontal", "vertical", "turned"),
    [
        ("The ship", "The ship", "The ship", "The ship"),
        ("A ship on the left", "A ship on the right", "A ship on the left", "A ship on the top"),
        ("A ship on the top", "A ship on the top", "A ship at the bottom", "A ship on the right"),
        ("the dam on the Lower left.", "the dam on the Lower right.", "the dam on the Upper left.",
         "the dam on the Upper left."),
        ("The dam on the lower left.", "The dam on the lower right.", "The dam on the upper left.",
         "The dam on the upper left."),
        ("The car in the middle", "The car in the middle", "The car in the middle", "The car in the middle"),
        ("A car is on the left of the ship", "A car is on the right of the ship", "A car is on the left of the ship",
         "A car is above the ship"),
        ("A car is above the ship on the right", "A car is above the ship on the left",
         "A car is below the ship on the right", "A car is on the right of the ship at the bottom"),
        ("The leftmost ship", "The rightmost ship", "The leftmost ship", None),
        ("The second ship from the left", "The second ship from the right", "The second ship from the left",
         "The second ship from the top"),
        ("The largest ship", "The largest ship", "The largest ship", "The largest ship"),
        ("THE SHIP ON THE LEFT", "THE SHIP ON THE RIGHT", "THE SHIP ON THE LEFT", "THE SHIP ON THE TOP"),
        ("The car is on the left of the ship above", "The car is on the right of the ship above",
         "The car is on the left of the ship below", None),
        ("the left ship", None, None, None),
        ("the ship north of the dam", None, None, None),
        ("the ship beside the dam", None, None, None),
        ("", "", "", ""),
    ],
)  # fmt: skip
def test_what_becomes_of_sentences(sentence, horizontal, vertical, turned):
    assert reword(sentence, HORIZONTAL_FLIP) == horizontal
    assert reword(sentence, VERTICAL_FLIP) == vertical
    assert reword(sentence, QUARTER_TURN) == turned
    assert reword(sentence, IDENTITY) == sentence


def test_names_of_objects_may_be_unknown_words():
    assert reword("The baseball diamond on the left", HORIZONTAL_FLIP) is None
    assert reword("The baseball diamond on the left", HORIZONTAL_FLIP, ["baseball", "diamond"]) == (
        "The baseball diamond on the right"
    )


@pytest.mark.parametrize("flip", FLIPS)
def test_every_real_sentence_is_itself_again_after_two_flips(real_sentences, flip):
    assert len(real_sentences) == 17402
    symmetry, known = FLIPS[flip], {*RRSISD_WORDS}
    refused, changed = [], 0
    for sentence in real_sentences:
        flipped = reword(sentence, symmetry)
        if flipped is None:
            refused.append(sentence)
            continue
        assert reword(flipped, symmetry) == sentence
        assert set(flipped.lower().split()) <= known
        changed += flipped != sentence
    assert len(refused) / len(real_sentences) < 0.01, sorted(set(refused))[:20]
    assert changed / len(real_sentences) > 0.3


def test_every_real_sentence_is_itself_again_after_four_turns(real_sentences):
    refused = 0
    for sentence in real_sentences:
        turned = sentence
        for _ in range(4):
            turned = None if turned is None else reword(turned, QUARTER_TURN)
        refused += turned is None
        assert turned in (None, sentence)
    assert refused / len(real_sentences) < 0.02


def test_symmetries_one_after_the_other_are_one(real_sentences):
    for sentence in sorted(set(real_sentences))[::5]:
        for first, second in itertools.product(SYMMETRIES, SYMMETRIES):
            halfway, whole = reword(sentence, first), reword(sentence, first.then(second))
            if halfway is not None and whole is not None:
                assert reword(halfway, second) == whole
    assert reword("The ship on the left", HALF_TURN) == "The ship on the right"


def scene(rng, count=9, height=300, width=400):
    """Objects of three categories anywhere in a picture, of different sizes."""
    instances = []
    for _ in range(count):
        half = rng.uniform(5, 30, 2)
        x, y = rng.uniform(half, (width, height) - half)
        box = (x - half[0], y - half[1], x + half[0], y + half[1])
        category = str(rng.choice(["ship", "dam", "ground track field"]))
        area = float(np.prod(2 * half))
        colours = (str(rng.choice(["red", "white"])),)
        instances.append(Instance(category=category, box=box, area=area, colours=colours, shape=""))
    return instances, height, width


def moved(instance, symmetry, height, width):
    """An object where a symmetry of its picture puts it, by the pixels of its corners."""
    x0, y0, x1, y1 = instance.box
    corners = []
    for x, y in ((x0, y0), (x1, y1)):
        if symmetry.mirrored:
            x = width - x
        w, h = width, height
        for _ in range(symmetry.turns):  # clockwise
            x, y, w, h = h - y, x, h, w
        corners.append((x, y))
    xs, ys = zip(*corners, strict=True)
    return replace(instance, box=(min(xs), min(ys), max(xs), max(ys)))


@pytest.mark.parametrize("symmetry", [symmetry for symmetry in SYMMETRIES if symmetry != IDENTITY])
def test_a_reworded_sentence_is_true_of_its_referent_alone(symmetry):
    checked, refused = 0, 0
    for seed in range(25):
        rng = np.random.default_rng(seed)
        instances, height, width = scene(rng)
        turned = [moved(instance, symmetry, height, width) for instance in instances]
        size = (width, height) if symmetry.turns % 2 else (height, width)
        for expression in Grammar().expressions(instances, height, width, rng):
            text = reword(expression.text, symmetry)
            if text is None:
                refused += 1
                assert "most " in expression.text
                continue
            meaning = parse(text, [instance.category for instance in instances])
            for reading in (STRICT, PLAIN, LENIENT):
                assert Reader(turned, *size, reading).true_of(meaning) == {expression.referent}, text
            checked += 1
    assert checked > 500
    assert (refused > 0) == (symmetry.turns % 2 == 1)


@pytest.mark.parametrize(
    ("sentence", "colour", "shade"),
    [
        ("The red ship", True, False),
        ("A dark ship", True, True),
        ("the large ship", False, False),
        ("the grey ship", True, True),  # unknown, so perhaps a colour
        ("The White ship", True, True),
    ],
)
def test_whether_a_sentence_may_speak_of_colours(sentence, colour, shade):
    assert may_say(sentence, COLOURS) == colour
    assert may_say(sentence, SHADES) == shade


@pytest.mark.parametrize(
    ("sentence", "itself"),
    [
        ("The ship", True),
        ("A gray and black vehicle on the upper left", True),
        ("the rounded storage tank in the middle", True),
        ("The chimney is a frustum of a cone", False),  # two things, for all that is known
        ("The frustum of a cone chimney at the bottom", True),
        ("The boat on the left", False),  # perhaps a word for more
        ("The ship on the left of the dam", False),
        ("The ship on the left of ships", False),
        ("The ship above", False),
        ("The ship is in the harbor", False),
        ("The ship and the dam", False),
        ("The ship and dam", False),
        ("The second ship from the left", False),
        ("The leftmost ship", False),
        ("The tiny ship", False),
        ("The largest ship", False),
        ("The ship in the middle of the harbor", False),
        ("The ship is bigger than the dam", False),
    ],
)
def test_whether_a_sentence_speaks_of_one_object_alone(sentence, itself):
    assert speaks_of_itself(sentence) == itself


def test_half_of_the_real_sentences_speak_of_one_object_alone(real_sentences):
    alone = [sentence for sentence in real_sentences if speaks_of_itself(sentence)]
    assert 0.45 < len(alone) / len(real_sentences) < 0.55
    for word in ("than", "from", "tiny", "largest", "of"):
        assert not any(word in sentence.lower().replace("frustum of a", "").split() for sentence in alone)
