"""Augmentation that knows what the sentence says."""

import albumentations as A
import numpy as np
import pytest
from hydra.utils import instantiate

from sbanet.config import compose
from sbanet.data.augmentation import Albumentations, FlipsAndTurns, KeepColours
from sbanet.data.records import Record, Sample
from sbanet.data.transforms import Transform
from sbanet.errors import ConfigError


def sample(expression, size=(20, 30), category="ship"):
    """An image with its one bright pixel, the mask, at the upper left."""
    image, mask = np.full((*size, 3), 40, np.uint8), np.zeros(size, bool)
    image[2, 4], mask[2, 4] = 200, True
    record = Record(sample_id="0", image="0", instance=0, expression=expression, split="train", category=category)
    return Sample(image=image, mask=mask, expression=expression, record=record)


def poses(expression, count=60, **allowed):
    step = FlipsAndTurns(**{"horizontal": True, "vertical": True, "turns": True, **allowed})
    return [step(sample(expression), np.random.default_rng(seed)) for seed in range(count)]


def where(found):
    """The corner of the picture that the referent is in, as the grammar would say it."""
    [[row, column]] = np.argwhere(found.mask)
    height, width = found.mask.shape
    return f"on the {'upper' if row < height / 2 else 'lower'} {'left' if column < width / 2 else 'right'}"


def test_image_mask_and_sentence_move_together():
    found = poses("The ship on the upper left")
    for one in found:
        assert (one.image[one.mask] == 200).all()
        assert one.expression == f"The ship {where(one)}"
        assert one.image.flags.c_contiguous
        assert one.mask.flags.c_contiguous
    assert {where(one) for one in found} == {f"on the {a} {b}" for a in ("upper", "lower") for b in ("left", "right")}
    assert {one.mask.shape for one in found} == {(20, 30), (30, 20)}


def test_all_allowed_poses_are_equally_likely():
    found = poses("The ship", count=1600)
    counts = np.unique([f"{one.mask.shape} {np.argwhere(one.mask)}" for one in found], return_counts=True)[1]
    assert len(counts) == 8
    assert counts.min() > 140


@pytest.mark.parametrize(
    ("allowed", "corners", "turned"),
    [
        ({"vertical": False, "turns": False}, {"on the upper left", "on the upper right"}, False),
        ({"horizontal": False, "turns": False}, {"on the upper left", "on the lower left"}, False),
        ({"turns": False}, 4, False),
        ({"horizontal": False, "vertical": False}, 4, True),
    ],
)
def test_only_what_is_allowed_is_done(allowed, corners, turned):
    found = poses("The ship on the upper left", **allowed)
    seen = {where(one) for one in found}
    assert (len(seen) if isinstance(corners, int) else seen) == corners
    assert any(one.mask.shape == (30, 20) for one in found) == turned


def test_a_sentence_that_cannot_be_reworded_keeps_its_picture():
    given = sample("The ship north of the dam")
    for one in poses(given.expression):
        assert one.expression == given.expression
        assert np.array_equal(one.image, given.image)
    assert all(one.mask.shape == (20, 30) for one in poses("The leftmost ship")), "flips, but no turns"
    assert {one.expression for one in poses("The leftmost ship")} == {"The leftmost ship", "The rightmost ship"}


def test_nothing_allowed_is_a_mistake():
    with pytest.raises(ConfigError, match="allow one, or leave the step out"):
        FlipsAndTurns(horizontal=False, vertical=False, turns=False)


INVERT = A.InvertImg(p=1.0)


@pytest.mark.parametrize(
    ("changes", "expression", "changed"),
    [
        ("hue", "The red ship", False),
        ("hue", "The ship on the left", True),
        ("hue", "The dark ship", False),
        ("brightness", "The red ship", True),
        ("brightness", "The white ship", False),
        ("brightness", "The greyish ship", False),
    ],
)
def test_colours_that_the_sentence_names_are_kept(changes, expression, changed):
    given = sample(expression)
    found = KeepColours(changes=changes, transforms=[INVERT])(given, np.random.default_rng(0))
    assert (not np.array_equal(found.image, given.image)) == changed
    assert found.expression == expression


def test_an_unknown_change():
    with pytest.raises(ConfigError, match="changes=colour: expected hue or brightness"):
        KeepColours(changes="colour", transforms=[])


def aerial():
    return instantiate(compose("train", ["data/augmentation=aerial"]).data.augmentation)


def test_the_same_seed_gives_the_same_sample():
    transform, given = Transform(aerial(), image_size=16), sample("The ship on the upper left")
    first, again, other = (transform(given, seed) for seed in (5, 5, 6))
    assert np.array_equal(first.image, again.image)
    assert (first.expression, first.mask.tolist()) == (again.expression, again.mask.tolist())
    assert len({(transform(given, seed).image.tobytes()) for seed in range(20)}) > 10
    assert not np.array_equal(first.image, other.image)


def test_plain_transforms_see_image_and_mask():
    given = sample("The ship")
    found = Albumentations([A.HorizontalFlip(p=1.0)])(given, np.random.default_rng(0))
    assert np.array_equal(found.mask, given.mask[:, ::-1])
    assert found.mask.dtype == bool
