"""A labelled dataset with sentences: reproducible, unambiguous, and few that name a category alone."""

import cv2
import numpy as np
import pytest

from sbanet.data.datamodules import InstancesDataModule
from sbanet.data.grammar import Grammar
from sbanet.data.instances import CATEGORY_ALONE, Instances, with_few_categories_alone
from sbanet.data.readers.coco import read_coco
from sbanet.data.records import Record
from sbanet.errors import ConfigError, DataError
from tests.data.conftest import letter_counts
from tests.data.scene_oracle import LENIENT, STRICT, Reader, parse
from tests.tiny_coco import SIZE, write_coco


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_coco(tmp_path_factory.mktemp("coco") / "tiny", {"train": 6, "val": 3})


def instances(root, **changes):
    settings = {"split": "val", "grammar": Grammar(), "expressions_per_image": 5, "category_share": 1.0, "seed": 2}
    return Instances(root / "annotations" / "val.json", root / "images", **settings | changes)


def data(root, **changes):
    settings = {
        "name": "tiny",
        "root": root,
        "annotations": {"train": "annotations/train.json", "val": "annotations/val.json"},
        "images": "images",
        "grammar": Grammar(),
        "expressions_per_image": {"train": 4, "val": 2},
        "category_share": 0.5,
        "expression_seed": 0,
        "tokenizer": letter_counts,
        "batch_size": 2,
        "eval_batch_size": 2,
        "image_size": 32,
        "seed": 1,
    }
    return InstancesDataModule(**settings | changes)


def test_images_and_masks_belong_together(root):
    dataset = instances(root)
    assert len(dataset) > 6
    for record in dataset.records:
        image, mask = dataset.image(record), dataset.mask(record)
        assert image.shape == (*SIZE, 3)
        assert mask.shape == SIZE
        assert len(np.unique(image[mask], axis=0)) == 1, "one box has one colour"
        assert image[mask].max() >= 90 > image[0, 0].max()


def test_every_sentence_is_true_of_its_referent_alone(root):
    dataset = instances(root)
    objects_of = {str(image.number): image.objects for image in read_coco(root / "annotations" / "val.json")}
    for record in dataset.records:
        objects = objects_of[record.image]
        about = [found.instance for found in objects]
        meaning = parse(record.expression, [instance.category for instance in about])
        for reading in (STRICT, LENIENT):
            [referent] = Reader(about, *SIZE, reading).true_of(meaning)
            assert objects[referent].annotation == record.instance
        assert {"colour", "shape"}.isdisjoint(record.tags)


def test_the_same_settings_give_the_same_sentences(root):
    one, again, other = instances(root), instances(root), instances(root, seed=3)
    assert one.records == again.records
    assert one.fingerprint == again.fingerprint != other.fingerprint
    assert one.records != other.records
    assert len({record.sample_id for record in one.records}) == len(one)


def record(number, *tags):
    return Record(
        sample_id=str(number), image="0", instance=number, expression="x", split="val", category="ship", tags=tags
    )


@pytest.mark.parametrize(("share", "left"), [(0.0, 0), (0.1, 1), (0.25, 3), (0.5, 9), (1.0, 12)])
def test_few_sentences_name_a_category_alone(share, left):
    records = [record(k, *CATEGORY_ALONE) for k in range(12)] + [record(k, "position") for k in range(12, 21)]
    kept = with_few_categories_alone(records, share, seed=0)
    alone = [one for one in kept if one.tags == CATEGORY_ALONE]
    assert (len(alone), len(kept)) == (left, left + 9)
    assert left in (0, 12) or len(alone) <= share * len(kept)
    assert kept == [one for one in records if one in kept], "in their own order"
    assert kept == with_few_categories_alone(records, share, seed=0)


def test_an_image_of_another_size_or_none_says_so(root, tmp_path):
    copy = write_coco(tmp_path / "copy", {"val": 1})
    dataset = instances(copy)
    cv2.imwrite(str(copy / "images" / "1.png"), np.zeros((3, 4, 3), np.uint8))
    with pytest.raises(DataError, match=r"1.png: has 3x4 pixels, its annotation says 48x64"):
        dataset.image(dataset.records[0])
    (copy / "images" / "1.png").unlink()
    with pytest.raises(DataError, match=r"1.png: no such file"):
        dataset.image(dataset.records[0])


def test_a_data_module_of_it(root):
    module = data(root)
    assert list(module.splits) == ["train", "val"]
    assert module.fingerprint().keys() == {"train", "val"}
    assert {len(module.samples(split)) > 0 for split in module.splits} == {True}
    assert len(module.samples("train").records) > len(module.samples("val").records)
    with pytest.raises(DataError, match="split='test': tiny has no such split; known: train, val"):
        module.samples("test")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"category_share": 1.1}, r"data.category_share=1.1: expected 0 to 1"),
        ({"expressions_per_image": {"train": 0}}, r"data.expressions_per_image.train=0"),
        ({"expression_seed": -1}, r"data.expression_seed=-1"),
    ],
)
def test_numbers_out_of_range(root, changes, message):
    with pytest.raises(ConfigError, match=message):
        data(root, **changes)


def test_real_photographs(sbanet_data):
    module = data(
        sbanet_data / "nwpu_vhr10", category_share=0.1, expressions_per_image={"train": 6, "val": 4}
    )  # fmt: skip
    samples = module.samples("val")
    alone = sum(record.tags == CATEGORY_ALONE for record in samples.records)
    assert 0 < alone <= 0.1 * len(samples)
    assert len(samples) > 150
    assert {tag for record in samples.records for tag in record.tags} == {
        "category", "size", "position", "relation", "comparison", "ordinal",
    }  # fmt: skip
    for one in samples.records[::20]:
        assert samples.dataset.image(one).shape[:2] == samples.dataset.mask(one).shape
        assert samples.dataset.mask(one).any()
