"""The built-in dataset as the configs ask for it: its difficulty, and the truth of what it says."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
import pytest
from hydra.utils import instantiate

from sbanet.config import compose
from sbanet.data.aeroscenes import AeroScenes
from sbanet.data.grammar import SKILLS, Expression, Grammar
from sbanet.data.records import Record
from sbanet.data.scene_cache import draw_scene
from sbanet.data.scenes import Scene, SceneConfig, render_scene

from .test_grammar import faults

NUM_SCENES = 400
LINKS = {"relation", "comparison", "ordinal"}


class Drawn(NamedTuple):
    """A scene of the standard dataset and what is said of it."""

    scene: Scene
    records: list[Record]


@pytest.fixture(scope="module")
def standard() -> list[Drawn]:
    """The first test scenes, as `data=aeroscenes` draws them without any override."""
    data = instantiate(compose("train").data, tokenizer=None)
    scene_set = data.scene_set("test")
    numbers = range(scene_set.first, scene_set.first + NUM_SCENES)
    return [
        Drawn(render_scene(scene_set.seed, number, scene_set.scenes), draw_scene(scene_set, number)[2])
        for number in numbers
    ]


@pytest.fixture(scope="module")
def shares(standard) -> dict[tuple[str, ...], float]:
    """How large a part of the sentences needs each set of skills."""
    counts = Counter(record.tags for _, records in standard for record in records)
    return {tags: count / counts.total() for tags, count in counts.items()}


def test_scenes_are_as_crowded_as_promised(standard):
    assert {scene.image.shape for scene, _ in standard} == {(160, 160, 3)}
    counts = [len(scene.instances) for scene, _ in standard]
    assert min(counts) >= 4
    assert max(counts) <= 12
    assert np.mean(counts) >= 7


def test_objects_are_small_and_no_category_prevails(standard):
    areas = [instance.area / 160**2 for scene, _ in standard for instance in scene.instances]
    assert np.median(areas) <= 0.015
    objects = Counter(instance.category for scene, _ in standard for instance in scene.instances)
    referents = Counter(record.category for _, records in standard for record in records)
    assert len(objects) >= 10
    assert set(referents) == set(objects)
    for counts in (objects, referents):
        assert max(counts.values()) <= 0.15 * counts.total()


def test_every_scene_gives_its_samples(standard):
    assert sum(len(records) for _, records in standard) >= 0.99 * 4 * NUM_SCENES


def test_most_referents_have_a_companion_of_their_category(standard):
    accompanied = [
        sum(instance.category == record.category for instance in scene.instances) >= 2
        for scene, records in standard
        for record in records
    ]
    assert np.mean(accompanied) >= 0.6


def test_no_single_skill_resolves_too_much(shares):
    assert shares[("category",)] <= 0.15
    assert shares[("colour",)] <= 0.25
    assert shares[("position",)] <= 0.30
    assert sum(share for tags, share in shares.items() if LINKS & set(tags)) >= 0.25


def test_every_skill_is_asked_for(shares):
    needed = {skill: sum(share for tags, share in shares.items() if skill in tags) for skill in SKILLS}
    assert set().union(*shares) == set(SKILLS)
    assert needed["category"] >= 0.02
    assert needed["shape"] >= 0.04
    assert all(needed[skill] >= 0.08 for skill in SKILLS if skill not in ("category", "shape"))


def test_every_sentence_is_true_of_its_referent_alone(standard):
    """Read by an oracle that shares nothing with the grammar."""
    for scene, records in standard:
        for record in records:
            said = Expression(text=record.expression, referent=record.instance, skills=record.tags)
            assert not faults(said, scene.instances, 160, 160)
            assert record.category == scene.instances[record.instance].category


class Outline(NamedTuple):
    """What a mask shows of a shape: long axis over short axis, and how much of the box along them is filled."""

    elongation: float
    fill: float


def outline(mask: np.ndarray) -> Outline:
    """From the principal axes of a mask's pixels."""
    pixels = np.argwhere(mask).astype(float)
    pixels -= pixels.mean(axis=0)
    # a pixel is a square, not a point: its own variance is 1/12
    variances, axes = np.linalg.eigh(pixels.T @ pixels / len(pixels) + np.eye(2) / 12)
    sides = np.ptp(pixels @ axes, axis=0) + 1
    return Outline(float(np.sqrt(variances[1] / variances[0])), len(pixels) / float(np.prod(sides)))


LOOKS = {
    "slender": lambda o: o.elongation >= 2.4,
    "rectangular": lambda o: 1.2 <= o.elongation <= 1.95 and o.fill >= 0.85,
    "oval": lambda o: 1.2 <= o.elongation <= 1.95 and o.fill <= 0.91,
    "rounded": lambda o: o.elongation <= 1.06 and o.fill <= 0.84,
    "frustum of a cone": lambda o: 1.5 <= o.elongation <= 1.7 and o.fill <= 0.8,
}


def test_shape_words_are_what_the_pixels_show(standard):
    seen: Counter[str] = Counter()
    for scene, _ in standard[:250]:
        looks = [
            (instance, outline(scene.instance_map == number))
            for number, instance in enumerate(scene.instances, start=1)
        ]
        for instance, look in looks:
            if instance.shape:
                seen[instance.shape] += 1
                assert LOOKS[instance.shape](look), (instance, look)
            if instance.shape == "slender":
                # clearly more so than all that are said not to be
                others = [
                    other.elongation
                    for kin, other in looks
                    if kin.category == instance.category and kin.shape not in ("slender", None)
                ]
                assert look.elongation > 1.15 * max(others, default=0)
    assert set(seen) == set(LOOKS)


def test_a_split_reads_what_was_drawn(tiny_scenes, cache):
    scene_set = tiny_scenes()
    data = AeroScenes(scene_set, cache)
    assert data.fingerprint == scene_set.fingerprint
    assert len(data) == len(data.records) > scene_set.count
    for record in data.records:
        scene = render_scene(scene_set.seed, int(record.image), scene_set.scenes)
        assert np.array_equal(data.image(record), scene.image)
        assert data.mask(record).dtype == bool
        assert np.array_equal(data.mask(record), scene.instance_map == record.instance + 1)
        assert np.count_nonzero(data.mask(record)) == scene.instances[record.instance].area


def test_samples_are_named_once(tiny_scenes, cache):
    scene_set = tiny_scenes()
    records = AeroScenes(scene_set, cache).records
    assert len({record.sample_id for record in records}) == len(records)
    assert {record.split for record in records} == {"val"}
    assert max(Counter(record.image for record in records).values()) <= scene_set.expressions_per_scene


def test_the_config_states_the_defaults_of_the_code():
    data = instantiate(compose("train").data, tokenizer=None)
    assert data.scenes == SceneConfig()
    assert vars(data.grammar) == vars(Grammar())
