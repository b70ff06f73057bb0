"""Augmentation that knows what the sentence says."""

from dataclasses import replace

import albumentations as A
import numpy as np
import pytest
from hydra.utils import instantiate

from sbanet.config import compose
from sbanet.data.augmentation import (
    Albumentations,
    BlackSquares,
    CropAroundReferent,
    FlipsAndTurns,
    KeepColours,
    least_part,
    part,
)
from sbanet.data.grammar import Grammar
from sbanet.data.records import Record, Sample
from sbanet.data.rewording import speaks_of_itself
from sbanet.data.transforms import Transform
from sbanet.errors import ConfigError
from tests.data.scene_oracle import LENIENT, PLAIN, STRICT, Reader, parse
from tests.data.test_grammar import random_scene


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


def squares(**changed):
    return BlackSquares(**{"share": 1.0, "count": (20, 60), "side": 32, "seed": 3, **changed})


def bright(number=0, size=(300, 400)):
    record = Record(sample_id=f"ship-{number}", image="0", instance=0, expression="A ship", split="train", category="")
    image = np.random.default_rng(number).integers(1, 256, (*size, 3), dtype=np.uint8)
    return Sample(image=image, mask=image[..., 0] > 99, expression="A ship", record=record)


def test_squares_are_black_and_nothing_else_changes():
    given = bright()
    before = given.image.copy()
    found = squares(count=(1, 1))(given, np.random.default_rng(0))
    black = (found.image == 0).all(2)
    [rows, columns] = (np.flatnonzero(black.any(axis)) for axis in (1, 0))
    assert black.sum() == len(rows) * len(columns) == 32 * 32
    assert np.array_equal(found.image[~black], before[~black])
    assert found.mask is given.mask
    assert np.array_equal(given.image, before)


def test_as_many_squares_as_asked():
    counts = set()
    for seed in range(300):
        black = (squares(count=(2, 4), side=1)(bright(size=(60, 60)), np.random.default_rng(seed)).image == 0).all(2)
        counts.add(int(black.sum()))
    assert {2, 3, 4} <= counts
    assert max(counts) == 4


@pytest.mark.parametrize("size", [(40, 90), (90, 40), (64, 64)])
def test_squares_lie_anywhere_and_inside(size):
    corners = set()
    for seed in range(3000):
        black = (squares(count=(1, 1))(bright(size=size), np.random.default_rng(seed)).image == 0).all(2)
        assert black.sum() == 32 * 32
        corners.add(tuple(np.argwhere(black)[0]))
    for axis in (0, 1):
        assert {corner[axis] for corner in corners} == set(range(size[axis] - 32 + 1))


def test_an_image_smaller_than_a_square():
    found = squares(count=(1, 1))(bright(size=(10, 100)), np.random.default_rng(0))
    assert (found.image == 0).all(2).sum() == 10 * 32


def test_the_same_samples_are_chosen_in_all_epochs():
    def chosen(seed, epoch):
        step = squares(share=0.2, seed=seed)
        pictures = (bright(number, (40, 40)) for number in range(1000))
        return {n for n, one in enumerate(pictures) if step(one, np.random.default_rng([epoch, n])) is not one}

    first = chosen(1, 0)
    assert 160 < len(first) < 240
    assert chosen(1, 1) == first
    assert 10 < len(first & chosen(2, 0)) < 80, "another seed chooses others"
    assert squares(share=0.0)(given := bright(), np.random.default_rng(0)) is given


@pytest.mark.parametrize("changed", [{"share": 1.2}, {"count": (5, 4)}, {"count": (-1, 4)}, {"side": 0}])
def test_squares_that_cannot_be(changed):
    with pytest.raises(ConfigError, match="expected a share from 0 to 1, two counts"):
        squares(**changed)


def test_the_squares_of_the_config_are_drawn_before_the_resize():
    cfg = compose("train", ["data/augmentation=black_squares", "seed=7", "data.augmentation.0.share=1"])
    [step] = instantiate(cfg.data.augmentation)
    assert cfg.data.augmentation[0].seed == 7
    white = replace(bright(size=(320, 320)), image=np.full((320, 320, 3), 255, np.uint8))
    image = Transform([step], image_size=160)(white, 0).image
    black = (image == 0).all(2)
    assert 20 * 0.5 * 15**2 < black.sum() < 60 * 16**2
    assert ((image > 0) & (image < 255)).any(), "squares at odd corners share pixels with what is around them"


def crop(given, seed, **changed):
    return CropAroundReferent(**{"share": 1.0, "scale": 0.3, **changed})(given, np.random.default_rng(seed))


def numbered(rows=slice(30, 42), columns=slice(80, 100), size=(120, 160), expression="The ship on the left"):
    """An image whose pixels say where they come from, with a referent."""
    image = np.zeros((*size, 3), np.uint8)
    image[..., 0], image[..., 1] = np.indices(size)
    mask = np.zeros(size, bool)
    mask[rows, columns] = True
    return replace(sample(expression), image=image, mask=mask)


@pytest.mark.parametrize(
    "place", [(slice(30, 42), slice(80, 100)), (slice(1, 3), slice(150, 159)), (slice(50, 51), slice(7, 8))]
)
def test_a_crop_has_all_of_the_referent_and_leaves_it_where_it_was(place):
    given = numbered(*place)
    kept = []
    for seed in range(100):
        found = crop(given, seed)
        assert found.mask.sum() == given.mask.sum()
        assert np.array_equal(found.image[found.mask], given.image[given.mask])
        assert found.image.shape[:2] == found.mask.shape
        for axis, length in enumerate(given.mask.shape):
            middle, before = (np.nonzero(one.mask)[axis].mean() + 0.5 for one in (found, given))
            assert abs(middle / found.mask.shape[axis] - before / length) * found.mask.shape[axis] <= 1
        kept.append(found.mask.shape[0] / given.mask.shape[0])
    assert max(kept) > 0.9
    least = max(0.3, *(least_part(s.start, s.stop, n) for s, n in zip(place, given.mask.shape, strict=True)))
    assert least - 0.02 < min(kept) < least + 0.1


def test_a_referent_at_the_border_keeps_its_whole_image():
    assert np.array_equal(crop(numbered(slice(0, 4)), 0).image, numbered().image)


def test_only_what_stays_true_is_cropped():
    for expression in ("The ship on the left of the dam", "The tiny ship", "The second ship from the left"):
        given = numbered(expression=expression)
        assert crop(given, 0) is given
    nothing = replace(numbered(), mask=np.zeros((120, 160), bool))
    assert crop(nothing, 0) is nothing
    whole = [crop(numbered(), seed, share=0.4).mask.shape == (120, 160) for seed in range(200)]
    assert 100 < sum(whole) < 140


@pytest.mark.parametrize("changed", [{"share": 1.2}, {"scale": 0.0}, {"scale": 1.1}])
def test_crops_that_cannot_be(changed):
    with pytest.raises(ConfigError, match="expected a share from 0 to 1 and a scale above 0, up to 1"):
        crop(sample("A ship"), 0, **changed)


def visible(instance, rows, columns):
    """What a crop shows of an object, None where nothing."""
    x0, y0, x1, y1 = instance.box
    left, right = (min(max(x, columns.start), columns.stop) - columns.start for x in (x0, x1))
    top, bottom = (min(max(y, rows.start), rows.stop) - rows.start for y in (y0, y1))
    return replace(instance, box=(left, top, right, bottom)) if left < right and top < bottom else None


def test_a_cropped_scene_s_sentence_is_true_of_its_referent_alone():
    checked, side = 0, 800
    for seed in range(30):
        rng = np.random.default_rng(seed)
        instances = random_scene(rng, side, side)
        for expression in Grammar().expressions(instances, side, side, rng):
            if not speaks_of_itself(expression.text):
                continue
            x0, y0, x1, y1 = (round(edge) for edge in instances[expression.referent].box)
            spans = [(y0, y1, side), (x0, x1, side)]
            least = max(0.5, *(least_part(*span) for span in spans))
            rows, columns = (part(*span, least + rng.random() * (1 - least)) for span in spans)
            seen = {k: left for k, one in enumerate(instances) if (left := visible(one, rows, columns))}
            meaning = parse(expression.text, [instance.category for instance in instances])
            for reading in (STRICT, PLAIN, LENIENT):
                reader = Reader(list(seen.values()), rows.stop - rows.start, columns.stop - columns.start, reading)
                assert [list(seen)[k] for k in reader.true_of(meaning)] == [expression.referent], expression.text
            checked += 1
    assert checked > 300


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
