"""The open layout: any dataset written and read again is the same."""

from __future__ import annotations

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from hydra.utils import instantiate

from sbanet.config import compose
from sbanet.data.open import convert
from sbanet.data.readers.open import RECORDS, read_records
from sbanet.errors import DataError
from sbanet.resizing import resize_mask
from tests.tiny_coco import write_coco
from tests.tiny_phrases import write_phrases
from tests.tiny_refer import write_refer


def splits_of(*overrides):
    data = instantiate(compose("train", list(overrides)).data, tokenizer=None)
    return {split: data.dataset(split) for split in data.splits}


@pytest.fixture(params=["rrsisd", "refsegrs", "instances", "aeroscenes"])
def datasets(request, tmp_path, cache):
    root = tmp_path / "source"
    if request.param == "rrsisd":
        write_refer(root, {"train": 3, "val": 2, "test": 2}, sentences=2)
    elif request.param == "refsegrs":
        write_phrases(root, {"train": 3, "val": 2, "test": 2})
    elif request.param == "instances":
        write_coco(root, {"train": 3, "val": 2})
    else:
        scenes = ["data.scenes_per_split={train: 3, val: 2, test: 2}", f"data.cache={cache}", "data.image_size=64"]
        return splits_of("data=aeroscenes", *scenes)
    return splits_of(f"data={request.param}", f"data.root={root}")


@pytest.mark.parametrize("how", ["copy", "link"])
def test_what_is_written_is_read_again(datasets, tmp_path, how):
    folder = tmp_path / "open"
    assert convert(datasets, folder, how) == sum(map(len, datasets.values()))
    again = splits_of("data=open", f"data.root={folder}")
    assert list(again) == list(datasets)
    for split, dataset in datasets.items():
        assert again[split].records == list(dataset.records)
        for record in dataset.records:
            image, mask = dataset.pixels(record)
            image_again, mask_again = again[split].pixels(record)
            assert np.array_equal(dataset.resized_mask(record, 21), resize_mask(mask, 21))
            assert np.array_equal(again[split].resized_mask(record, 21), resize_mask(mask, 21))
            assert np.array_equal(image, image_again)
            assert np.array_equal(mask, mask_again)
            assert mask_again.dtype == bool
    twice = tmp_path / "twice"
    convert(again, twice, "copy")
    once_more = splits_of("data=open", f"data.root={twice}")
    assert {s: one.fingerprint for s, one in again.items()} == {s: one.fingerprint for s, one in once_more.items()}
    assert len({one.fingerprint for one in again.values()}) == len(again)
    files = list((folder / "images").iterdir())
    assert len(files) == len({record.image for one in datasets.values() for record in one.records})
    assert all(file.is_symlink() == (how == "link" and bool(datasets["train"].files(datasets["train"].records[0])))
               for file in files)  # fmt: skip


def test_the_content_is_in_the_fingerprint(tmp_path):
    root = write_phrases(tmp_path / "source", {"train": 2, "val": 1, "test": 1})
    prints = []
    for name in ("a", "b"):
        convert(splits_of("data=refsegrs", f"data.root={root}"), tmp_path / name, "copy")
        prints.append(splits_of("data=open", f"data.root={tmp_path / name}")["train"].fingerprint)
        cv2.imwrite(str(root / "masks" / "1.tif"), np.full((40, 56), 255, np.uint8))
    assert prints[0] != prints[1]


def test_images_of_one_name_are_kept_apart(tmp_path):
    splits = {}
    for split in ("train", "val"):
        root = write_phrases(tmp_path / split, {split: 1})
        cv2.imwrite(str(root / "images" / "1.tif"), np.full((40, 56, 3), 50 * len(split), np.uint8))
        data = instantiate(compose("train", ["data=refsegrs", f"data.root={root}"]).data, tokenizer=None)
        splits[split] = data.dataset(split)
    convert(splits, tmp_path / "open", "copy")
    again = splits_of("data=open", f"data.root={tmp_path / 'open'}")
    assert [again[split].image(again[split].records[0])[5, 5, 0] for split in splits] == [250, 150]


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    root = write_phrases(tmp_path / "source", {"train": 1, "val": 1, "test": 1})
    with pytest.raises(DataError, match="is not empty; give a new folder"):
        convert(splits_of("data=refsegrs", f"data.root={root}"), root, "copy")


def test_a_sample_that_cannot_be_read_leaves_no_records(tmp_path):
    root = write_phrases(tmp_path / "source", {"train": 2, "val": 1, "test": 1})
    (root / "images" / "2.tif").unlink()
    with pytest.raises(DataError, match=r"images/2\.\*: no such file"):
        convert(splits_of("data=refsegrs", f"data.root={root}"), tmp_path / "open", "copy")
    assert not (tmp_path / "open" / RECORDS).exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "no such file; write the layout by sbanet-data convert"),
        (lambda path: path.write_bytes(b""), "is damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:-30]), "is damaged"),
        (lambda path: pq.write_table(pq.read_table(path).drop(["counts"]), path), "no column counts"),
    ],
)
def test_records_that_cannot_be_read(tmp_path, damage, message):
    root = write_phrases(tmp_path / "source", {"train": 1, "val": 1, "test": 1})
    convert(splits_of("data=refsegrs", f"data.root={root}"), tmp_path / "open", "copy")
    damage(tmp_path / "open" / RECORDS)
    with pytest.raises(DataError, match=message) as refused:
        read_records(tmp_path / "open")
    assert "\n" not in str(refused.value)


def test_an_unknown_split(tmp_path):
    root = write_phrases(tmp_path / "source", {"train": 1, "val": 1, "test": 1})
    convert(splits_of("data=refsegrs", f"data.root={root}"), tmp_path / "open", "copy")
    data = instantiate(compose("train", ["data=open", f"data.root={tmp_path / 'open'}"]).data, tokenizer=None)
    with pytest.raises(DataError, match="the records have no such split; known: test, train, val"):
        data.dataset("testA")
