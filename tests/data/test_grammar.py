"""The grammar's sentences, read by an oracle that shares nothing with it."""

from __future__ import annotations

import os
import pickle
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sbanet.data.grammar import SKILLS, STANDARD_MIX, Expression, Grammar, Instance
from sbanet.data.predicates import COMPARISONS, DIRECTIONS, POSITIONS, Margins
from sbanet.data.vocabulary import GRAMMAR_WORDS, RRSISD_WORDS

from .scene_oracle import LENIENT, PLAIN, STRICT, Reader, parse

SIDE = 160
COLOURS = ("red", "blue", "white", "gray", "green", "orange")
SHAPES = {
    "ship": ("slender", "long", "rectangular"),
    "vehicle": ("rectangular", "long", "oval"),
    "storage tank": ("rounded",),
    "bridge": ("slender", "long"),
    "airplane": None,
    "tennis court": ("rectangular",),
    "ground track field": ("oval", "rounded", "rectangular"),
    "chimney": ("frustum of a cone", "rounded"),
    "expressway toll station": ("slender", "rectangular"),
}


def random_scene(
    rng: np.random.Generator, height: int = SIDE, width: int = SIDE, unknown: float = 0.0
) -> list[Instance]:
    """4 to 12 instances of 2 to 4 categories; nine in ten have a companion of their own category."""
    count = int(rng.integers(4, 13))
    kinds = list(rng.permutation(list(SHAPES)))[: int(rng.integers(2, min(4, count // 2) + 1))]
    names = [kinds[i % len(kinds)] for i in range(2 * len(kinds))]
    names += [kinds[int(rng.integers(len(kinds)))] for _ in range(count - len(names))]
    if rng.random() < 0.5:
        names[0] = next(kind for kind in SHAPES if kind not in kinds)
    return [random_instance(str(name), rng, height, width, unknown) for name in names]


def random_instance(category: str, rng: np.random.Generator, height: int, width: int, unknown: float) -> Instance:
    long_side = rng.uniform(6, 20) * (2 if rng.random() < 0.25 else 1)
    w, h = rng.permutation([long_side, long_side * rng.uniform(0.4, 1)])
    x, y = rng.uniform(w / 2, width - w / 2), rng.uniform(h / 2, height - h / 2)
    colours = [str(colour) for colour in rng.permutation(COLOURS)[: 1 + (rng.random() < 0.3)]]
    shapes = SHAPES[category]
    return Instance(
        category=category,
        box=(float(x - w / 2), float(y - h / 2), float(x + w / 2), float(y + h / 2)),
        area=float(w * h * rng.uniform(0.6, 1)),
        colours=() if rng.random() < unknown else tuple(colours),
        shape=None if shapes is None or rng.random() < unknown else str(rng.choice(shapes)),
    )


def at(x: float, y: float, category: str = "ship", side: float = 10, **known: object) -> Instance:
    """A square object around (x, y)."""
    box = (x - side / 2, y - side / 2, x + side / 2, y + side / 2)
    return Instance(category=category, box=box, area=side * side, **known)  # type: ignore[arg-type]


def all_of(instances: list[Instance], height: int = SIDE, width: int = SIDE, **grammar: object) -> list[Expression]:
    return Grammar(**grammar).expressions(instances, height, width, np.random.default_rng(0))  # type: ignore[arg-type]


def wordings(expressions: list[Expression], referent: int) -> set[str]:
    """The sentences about one object, without the article."""
    return {e.text.split(" ", 1)[1] for e in expressions if e.referent == referent}


def faults(expression: Expression, instances: list[Instance], height: int, width: int) -> list[str]:
    """What the oracle has against an expression."""
    meaning = parse(expression.text, sorted({instance.category for instance in instances}))
    found = []
    for name, reading in (("strict", STRICT), ("plain", PLAIN), ("lenient", LENIENT)):
        reader = Reader(instances, height, width, reading)
        if (true := reader.true_of(meaning)) != {expression.referent}:
            found.append(f"{name}: {expression} is true of {true}")
        if meaning.landmark is not None and len(named := reader.named(meaning.landmark)) != 1:
            found.append(f"{name}: the landmark of {expression} may be any of {named}")
        for skill, reduced in meaning.reductions():
            if len(reader.true_of(reduced)) < 2:
                found.append(f"{name}: {expression} does not need its {skill}")
    if expression.skills != tuple(skill for skill in SKILLS if skill in meaning.skills()):
        found.append(f"{expression} is tagged {expression.skills}, and asks for {meaning.skills()}")
    return found


@pytest.mark.parametrize(
    ("seed", "height", "width", "unknown"),
    [(0, SIDE, SIDE, 0.0), (1, SIDE, SIDE, 0.0), (2, 120, 300, 0.0), (3, 331, 97, 0.1)],
)
def test_every_expression_is_true_of_its_referent_alone_and_minimal(seed, height, width, unknown):
    rng = np.random.default_rng(seed)
    grammar = Grammar(max_landmark_modifiers=2)
    checked: Counter[tuple[str, ...]] = Counter()
    for _ in range(250):
        scene = random_scene(rng, height, width, unknown)
        for expression in grammar.expressions(scene, height, width, rng):
            assert not faults(expression, scene, height, width)
            checked[expression.skills] += 1
    assert checked.total() > 8000
    assert {skill for skills in checked for skill in skills} == set(SKILLS)
    assert {len(skills) for skills in checked} >= {1, 2, 3}


@pytest.mark.parametrize("seed", range(3))
def test_tight_margins_are_still_true_in_the_plain_reading(seed):
    """With hardly any margin the borders of the words are the dictionary's own."""
    margins = Margins(
        position=0.001, size_tie=1.39, size_ratio=1.51, size_extreme=2.51, relation_angle=0.1,
        relation_distance=0.0, cardinal_reach=23, diagonal_reach=23, similar=1.24, little_from=1.26,
        little_to=2.49, much=2.51, superlative=1.01, rank_gap=0.001,
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    seen = set()
    for _ in range(40):
        scene = random_scene(rng)
        reader = Reader(scene, SIDE, SIDE, PLAIN)
        for expression in Grammar(margins=margins).expressions(scene, SIDE, SIDE, rng):
            meaning = parse(expression.text, sorted({instance.category for instance in scene}))
            # Sizes are left out: of two middle-sized objects both or neither may be large here.
            if "size" not in expression.skills:
                assert reader.true_of(meaning) == {expression.referent}, expression
                seen.add(expression.skills[-1])
    assert seen >= {"colour", "position", "relation", "comparison", "ordinal"}


OPPOSITES = (
    ("left", "right"), ("upper", "lower"), ("above", "below"), ("top", "bottom"), ("bigger", "smaller"),
    ("largest", "smallest"), ("large", "small"), ("huge", "tiny"), ("leftmost", "rightmost"),
)  # fmt: skip


def test_the_oracle_contradicts_sentences_that_are_turned_round():
    """The checker can fail: the opposite of a true sentence is not true of its referent."""
    swap = {**dict(OPPOSITES), **{b: a for a, b in OPPOSITES}}
    rng = np.random.default_rng(5)
    turned = 0
    for _ in range(30):
        scene = random_scene(rng)
        categories = sorted({instance.category for instance in scene})
        reader = Reader(scene, SIDE, SIDE, PLAIN)
        for expression in Grammar().expressions(scene, SIDE, SIDE, rng):
            meaning = parse(expression.text, categories)
            if re.search("second|third", expression.text) or meaning.link == "similar in size to":
                continue
            opposite = " ".join(swap.get(word, word) for word in expression.text.split())
            opposite = opposite.replace("on the bottom", "at the bottom").replace("at the top", "on the top")
            if opposite == expression.text:
                continue
            # The landmark stays as it was; only what is said of the referent turns.
            meaning = replace(parse(opposite, categories), landmark=meaning.landmark)
            if meaning != parse(expression.text, categories):
                turned += 1
                assert expression.referent not in reader.true_of(meaning), opposite
    assert turned > 300


def test_a_scene_worked_out_by_hand():
    scene = [
        at(20, 20, colours=("red",)),
        at(140, 25, colours=("blue",)),
        at(80, 140, side=20, colours=("white",)),
        at(80, 80, "harbor", side=12, colours=("white",)),
    ]
    expressions = all_of(scene)
    assert wordings(expressions, 3) == {"harbor"}
    # Ships 0 and 1 are as high up and as large as one another: no first from the top, no smallest.
    assert wordings(expressions, 0) == {
        "red ship",
        "ship on the upper left",
        "first ship from the left",
        "leftmost ship",
        "ship is on the upper left of the harbor",
        "ship is similar in size to the ship on the upper right",
        "ship is similar in size to the blue ship",
    }
    assert wordings(expressions, 1) == {
        "blue ship",
        "ship on the upper right",
        "first ship from the right",
        "rightmost ship",
        "ship is on the upper right of the harbor",
        "ship is similar in size to the ship on the upper left",
        "ship is similar in size to the red ship",
    }
    # Not "much bigger than the red ship": it is bigger than any ship, and red would tell nothing.
    assert wordings(expressions, 2) == {
        "white ship",
        "large ship",
        "huge ship",
        "largest ship",
        "ship at the bottom",
        "first ship from the bottom",
        "second ship from the left",
        "second ship from the right",
        "ship is below the harbor",
    }


def test_a_word_that_fits_another_object_is_not_said():
    scene = [
        at(20, 20, colours=("red",)),
        at(22, 60, colours=("blue", "red")),
        at(140, 140, colours=("blue", "white")),
    ]
    expressions = all_of(scene)
    assert not any(text in wordings(expressions, i) for i in range(3) for text in ("red ship", "blue ship"))
    assert {"blue and red ship"} <= wordings(expressions, 1)
    assert {"blue and white ship", "white ship"} <= wordings(expressions, 2)
    # Ship 1 is on the left; ship 0, in the corner, is on the left to some as well.
    assert "ship on the left" not in wordings(expressions, 1)
    assert "ship on the upper left" in wordings(expressions, 0)


def test_modifiers_join_only_where_one_does_not_do():
    scene = [
        at(20, 20, colours=("red",)),
        at(30, 30, colours=("blue",)),
        at(140, 140, colours=("red",)),
        at(130, 130, colours=("blue",)),
    ]
    expressions = all_of(scene)
    assert [e.skills for e in expressions if e.text[2:].strip() == "red ship on the upper left"] == [
        ("colour", "position")
    ]
    assert "red ship on the upper left" in wordings(expressions, 0)
    alone = [*scene[:1], at(140, 140, colours=("blue",)), at(130, 20, "harbor")]
    assert "red ship on the upper left" not in wordings(all_of(alone), 0)
    assert wordings(all_of(alone), 0) >= {"red ship", "ship on the upper left"}


def test_what_is_unknown_is_not_taken_for_absent():
    colours = [at(20, 20, colours=("red",)), at(80, 80, colours=("blue",)), at(140, 140)]
    assert not any("colour" in e.skills for e in all_of(colours))
    shapes = [at(20, 20, shape="long"), at(80, 80, shape="rectangular"), at(140, 140)]
    assert not any("shape" in e.skills for e in all_of(shapes))
    # Another category's colours are still known.
    harbors = [at(30, 120, "harbor", colours=("red",)), at(120, 30, "harbor", colours=("gray",))]
    assert {"red harbor"} <= wordings(all_of([*colours, *harbors]), 3)


def test_an_object_without_a_shape_word_leaves_the_word_to_the_others():
    plain = [at(20, 20, shape="slender"), at(80, 80, shape=""), at(140, 140, shape="")]
    assert "slender ship" in wordings(all_of(plain), 0)
    assert not any("shape" in e.skills for e in all_of(plain) if e.referent)
    # of a shape that is a matter of taste, some would say it
    doubtful = [*plain[:2], at(140, 140)]
    assert "slender ship" not in wordings(all_of(doubtful), 0)


def test_near_synonyms_are_not_told_apart():
    scene = [at(20, 20, shape="long"), at(80, 80, shape="slender"), at(140, 140, shape="rectangular")]
    expressions = all_of(scene)
    assert "rectangular ship" in wordings(expressions, 2)
    assert not any("long ship" in wordings(expressions, i) for i in range(3))
    assert not any("slender ship" in wordings(expressions, i) for i in range(3))


def test_a_relation_leaves_a_choice():
    """Of two ships, one the landmark, there is nothing left to find out."""
    scene = [at(20, 20), at(140, 140)]
    assert not any({"relation", "comparison"} & set(e.skills) for e in all_of(scene))


def test_ranks_count_from_the_nearer_side_and_stop_before_the_last():
    scene = [at(x, 80) for x in (10, 40, 70, 100, 150)]
    texts = {i: wordings(all_of(scene), i) for i in range(5)}
    assert {"third ship from the left", "third ship from the right"} <= texts[2]
    assert {"second ship from the right", "third ship from the right"} & texts[3] == {"second ship from the right"}
    pair = [at(10, 80), at(100, 80)]
    assert not any("second" in text for i in range(2) for text in wordings(all_of(pair), i))
    close = [at(10, 80), at(60, 80), at(63, 80), at(100, 80)]
    assert not any("second" in text for i in (1, 2) for text in wordings(all_of(close), i))


@pytest.mark.parametrize("instances", [[], [at(80, 80)]])
def test_hardly_anything_to_speak_of(instances):
    assert [e.skills for e in all_of(instances)] == [("category",)] * len(instances)
    assert len(Grammar().sample(instances, SIDE, SIDE, np.random.default_rng(0), 4)) == len(instances)


def test_twins_in_one_place_have_no_expression():
    assert all_of([at(80, 80), at(80, 80), at(80, 80)]) == []


def test_a_sample_is_a_function_of_the_generator():
    scene = random_scene(np.random.default_rng(7))
    grammar = Grammar()
    first, second = (grammar.sample(scene, SIDE, SIDE, np.random.default_rng(3), 6) for _ in range(2))
    assert first == second
    assert first != grammar.sample(scene, SIDE, SIDE, np.random.default_rng(4), 6)


def test_a_sample_means_every_object_before_one_twice():
    rng = np.random.default_rng(11)
    grammar = Grammar()
    for _ in range(50):
        scene = random_scene(rng)
        drawn = grammar.sample(scene, SIDE, SIDE, rng, 30)
        assert len({e.text.split(" ", 1)[1] for e in drawn}) == len(drawn)
        able = {e.referent for e in grammar.expressions(scene, SIDE, SIDE, rng)}
        assert len({e.referent for e in drawn[: len(able)]}) == min(len(able), len(drawn))
        for expression in drawn:
            assert not faults(expression, scene, SIDE, SIDE)


def test_the_standard_mix_gives_the_standard_difficulty():
    rng = np.random.default_rng(13)
    grammar = Grammar()
    skills: Counter[tuple[str, ...]] = Counter()
    referents: Counter[str] = Counter()
    objects: Counter[str] = Counter()
    articles: Counter[str] = Counter()
    for _ in range(500):
        scene = random_scene(rng)
        drawn = grammar.sample(scene, SIDE, SIDE, rng, 4)
        assert len(drawn) == 4
        skills.update(e.skills for e in drawn)
        articles.update(e.text.split()[0] for e in drawn)
        referents.update(scene[e.referent].category for e in drawn)
        objects.update(instance.category for instance in scene)
    share = {key: number / skills.total() for key, number in skills.items()}
    needed = {skill: sum(part for key, part in share.items() if skill in key) for skill in SKILLS}
    assert share[("category",)] <= 0.15
    assert share[("colour",)] <= 0.25
    assert share[("position",)] <= 0.30
    assert sum(p for key, p in share.items() if {"relation", "comparison", "ordinal"} & set(key)) >= 0.25
    assert all(needed[skill] >= 0.08 for skill in ("size", "colour", "position", "relation", "comparison", "ordinal"))
    assert needed["shape"] >= 0.03
    assert needed["category"] >= 0.02
    assert 0.3 < articles["A"] / articles.total() < 0.5
    for category, number in objects.items():
        assert 0.6 < referents[category] / referents.total() / (number / objects.total()) < 1.6


def test_a_mix_asks_for_its_skills_only():
    rng = np.random.default_rng(17)
    grammar = Grammar(mix={"relation": 1.0, "ordinal": 0.0})
    drawn = [e for _ in range(30) for e in grammar.sample(random_scene(rng), SIDE, SIDE, rng, 3)]
    assert drawn
    assert all("relation" in e.skills for e in drawn)


def test_adjectives_stand_in_any_order():
    scene = [
        at(20, 20, colours=("red",), shape="oval"),
        at(80, 80, colours=("red",), shape="long"),
        at(140, 140, colours=("blue",), shape="oval"),
    ]
    grammar, rng = Grammar(), np.random.default_rng(0)
    texts = {e.text for _ in range(40) for e in grammar.expressions(scene, SIDE, SIDE, rng)}
    assert {"A red oval ship", "The red oval ship", "A oval red ship", "The oval red ship"} <= texts


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mix": {"color": 1.0}}, "unknown skills .'color'."),
        ({"mix": {"colour": -1.0}}, "weights of 0 or more"),
        ({"mix": {"colour": float("nan")}}, "weights of 0 or more"),
        ({"mix": {"colour": 0.0}}, "at least one above 0"),
        ({"mix": {}}, "at least one above 0"),
        ({"max_modifiers": -1}, "must be 0 or more"),
    ],
)
def test_a_wrong_setting_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Grammar(**arguments)


@pytest.mark.parametrize(
    "numbers",
    [{"position": 0.2}, {"size_ratio": 1.0}, {"little_from": 1.0}, {"much": 1.9}, {"cardinal_reach": 10}],
)
def test_margins_that_leave_no_meaning_are_refused(numbers):
    with pytest.raises(ValueError, match=next(iter(numbers))):
        Margins(**numbers)


def test_what_cannot_be_seen_cannot_be_spoken_of():
    hidden = Instance(category="ship", box=(0, 0, 1, 1), area=0)
    with pytest.raises(ValueError, match=r"instance 1 \(ship\) has an area of 0"):
        all_of([at(20, 20), hidden])
    with pytest.raises(ValueError, match="0x160"):
        all_of([at(20, 20)], height=0)


def test_the_grammar_says_all_its_phrases_and_only_words_of_its_vocabulary():
    rng = np.random.default_rng(19)
    scenes = [random_scene(rng) for _ in range(150)]
    texts = [e.text for scene in scenes for e in Grammar().expressions(scene, SIDE, SIDE, rng)]
    said = {word for text in texts for word in text.lower().split()}
    assert said <= {*RRSISD_WORDS, *GRAMMAR_WORDS}
    assert set(GRAMMAR_WORDS) <= said
    links = {*(f" is {phrase} the " for phrase in (*DIRECTIONS, *COMPARISONS))}
    places = {f" {phrase}" for row in POSITIONS for phrase in row}
    others = {" large ", " huge ", " small ", " tiny ", " and ", " frustum of a cone "}
    assert [part for part in sorted(links | others) if not any(part in text for text in texts)] == []
    assert [place for place in sorted(places) if not any(text.endswith(place) for text in texts)] == []


def test_the_vocabulary_is_in_order():
    for words in (RRSISD_WORDS, GRAMMAR_WORDS):
        assert list(words) == sorted({word.lower() for word in words})
    assert not set(RRSISD_WORDS) & set(GRAMMAR_WORDS)


def test_the_words_of_rrsisd_are_those_of_its_sentences():
    if "SBANET_DATA" not in os.environ:
        pytest.skip("SBANET_DATA is unset: it names the folder with rrsisd_refs/refs(unc).p")
    path = Path(os.environ["SBANET_DATA"]) / "rrsisd_refs" / "refs(unc).p"
    refs = pickle.loads(path.read_bytes())
    sentences = [sentence["sent"] for ref in refs for sentence in ref["sentences"]]
    assert len(sentences) == 17402
    assert {word for sentence in sentences for word in sentence.lower().split()} == set(RRSISD_WORDS)


def test_the_standard_mix_covers_every_skill():
    assert tuple(STANDARD_MIX) == SKILLS
    assert sum(STANDARD_MIX.values()) == pytest.approx(1)
