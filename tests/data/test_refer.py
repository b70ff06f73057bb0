"""RRSIS-D's layout: referents of a split, their sentences, images and masks."""

from __future__ import annotations

import json
import pickle

import cv2
import numpy as np
import pytest
from hydra.utils import instantiate
from pycocotools import mask as coco_mask

from sbanet.config import compose
from sbanet.data.datamodules import ReferDataModule
from sbanet.data.readers.plain_pickle import read_plain_pickle
from sbanet.data.readers.refer import Referent, read_refer
from sbanet.data.refer import Refer
from sbanet.errors import DataError
from tests.tiny_refer import SIZE, write_refer


@pytest.fixture
def root(tmp_path):
    return write_refer(tmp_path / "rrsisd", {"train": 5, "val": 2, "test": 3}, sentences=2)


def files(root):
    folder = root / "rrsisd"
    return folder / "refs(unc).p", folder / "instances.json", root / "images" / "rrsisd" / "JPEGImages"


def split_of(root, split):
    refs, instances, images = files(root)
    return Refer(read_refer(refs, instances), images, split=split)


def module(root):
    cfg = compose("train", ["data=rrsisd", f"data.root={root}", "data.image_size=32"])
    return instantiate(cfg.data, tokenizer=None)


def test_a_split_has_a_sample_a_sentence(root):
    dataset = split_of(root, "train")
    assert len(dataset) == 10
    first, second = dataset.records[:2]
    assert (first.sample_id, second.sample_id) == ("train-1-0", "train-1-1")
    assert first.expression == "A large airplane"
    assert first.category == "expressway service area"
    assert first.image == second.image
    assert dataset.image(first).shape == (*SIZE, 3)
    mask = dataset.mask(first)
    assert (mask.shape, mask.dtype, mask.sum()) == (SIZE, bool, 12 * 15)
    assert dataset.image(first)[mask].mean() > 150


def test_the_config_finds_it(root):
    data = module(root)
    assert isinstance(data, ReferDataModule)
    assert {split: len(data.dataset(split)) for split in data.splits} == {"train": 10, "val": 4, "test": 6}
    assert len(set(data.fingerprint().values())) == 3
    with pytest.raises(DataError, match="split='testA': rrsisd has no such split; known: train, val, test"):
        data.dataset("testA")


def test_a_split_that_the_file_lacks(root):
    with pytest.raises(DataError, match="the annotations have no such split; known: test, train, val"):
        split_of(root, "testB")


def test_splits_and_files_of_the_kin(tmp_path):
    root = write_refer(tmp_path / "refer", {"train": 3, "val": 2, "testA": 2, "testB": 1}, sentences=3)
    place = ["refs=rrsisd/refs(unc).p", "instances=rrsisd/instances.json", "images=images/rrsisd/JPEGImages"]
    for name in ("refcoco", "refcocop"):
        cfg = compose("train", [f"data={name}", f"data.root={root}"])
        for key, value in (pair.split("=") for pair in place):
            cfg.data[key] = value
        data = instantiate(cfg.data, tokenizer=None)
        assert {split: len(data.dataset(split)) for split in data.splits} == {
            "train": 9, "val": 6, "testA": 6, "testB": 3
        }  # fmt: skip
        assert data.test_split == "testA"
        assert list(data.published) == list(data.splits)


def test_damaged_run_lengths_are_not_drawn(root):
    _, instances, _ = files(root)
    content = json.loads(instances.read_text())
    content["annotations"][0]["segmentation"][0]["counts"] = content["annotations"][0]["segmentation"][0]["counts"][:-2]
    instances.write_text(json.dumps(content))
    dataset = split_of(root, "train")
    with pytest.raises(DataError, match=r"annotation 1 of 00001.jpg: its run lengths "):
        dataset.mask(dataset.records[0])


def test_pixels_of_two_segments_are_of_none():
    a, b = np.zeros((6, 8), np.uint8), np.zeros((6, 8), np.uint8)
    a[1:4, 1:5], b[2:6, 3:8] = 1, 1
    plain = [coco_mask.encode(np.asfortranarray(part)) for part in (a, b)]
    about = {"ref": 1, "annotation": 1, "file": "x", "height": 6, "width": 8, "split": "train"}
    found = Referent(**about, category="ship", sentences=("a",), segmentation=plain).mask()
    assert np.array_equal(found, (a + b) == 1)


@pytest.mark.parametrize("form", ["polygon", "compressed", "uncompressed", "one"])
def test_segments_however_they_are_written(form):
    mask = np.zeros((10, 12), np.uint8)
    mask[2:7, 3:9] = 1
    rle = coco_mask.encode(np.asfortranarray(mask))
    runs, value, count = [], 0, 0
    for pixel in mask.ravel("F"):
        if pixel != value:
            runs.append(count)
            value, count = pixel, 0
        count += 1
    runs.append(count)
    segmentation = {
        "polygon": [[3, 2, 9, 2, 9, 7, 3, 7]],
        "compressed": [{"size": [10, 12], "counts": rle["counts"].decode()}],
        "uncompressed": [{"size": [10, 12], "counts": runs}],
        "one": rle,
    }[form]
    about = {"ref": 1, "annotation": 1, "file": "x", "height": 10, "width": 12, "split": "train"}
    found = Referent(**about, category="ship", sentences=("a",), segmentation=segmentation).mask()
    assert np.array_equal(found, mask.astype(bool))


def test_an_image_of_another_size(root):
    dataset = split_of(root, "val")
    cv2.imwrite(str(files(root)[2] / "00006.jpg"), np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(DataError, match=r"00006.jpg: has 9x9 pixels, its annotation says 40x56"):
        dataset.image(dataset.records[0])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("no annotation", r"refs\(unc\)\.p: does not fit instances.json \(KeyError: 1\)"),
        ("no sentences", r"refs\(unc\)\.p: does not fit instances.json \(KeyError: 'sentences'\)"),
        ("no categories", r"instances.json: is not as COCO instance annotations are"),
        ("no json", r"instances.json: cannot be read as json"),
        ("no file", r"instances.json: no such file"),
    ],
)
def test_files_that_do_not_fit(root, damage, message):
    refs, instances, _ = files(root)
    content, entries = json.loads(instances.read_text()), read_plain_pickle(refs)
    if damage == "no annotation":
        del content["annotations"][0]
    elif damage == "no sentences":
        del entries[0]["sentences"]
    elif damage == "no categories":
        del content["categories"]
    instances.write_text("{" if damage == "no json" else json.dumps(content))
    refs.write_bytes(pickle.dumps(entries))
    if damage == "no file":
        instances.unlink()
    with pytest.raises(DataError, match=message):
        read_refer(refs, instances)


def test_the_real_sentences(sbanet_data, tmp_path):
    """All of RRSIS-D's; its masks and images are not here, so that each has one of a pixel."""
    entries = read_plain_pickle(sbanet_data / "rrsisd_refs" / "refs(unc).p")
    rle = {"size": [800, 800], "counts": [0, 1, 800 * 800 - 1]}
    content = {
        "categories": json.loads((sbanet_data / "rrsisd_refs" / "categories.json").read_text()),
        "images": [{"id": e["image_id"], "file_name": e["file_name"], "height": 800, "width": 800} for e in entries],
        "annotations": [{"id": e["ann_id"], "segmentation": [rle]} for e in entries],
    }
    (tmp_path / "instances.json").write_text(json.dumps(content))
    referents = read_refer(sbanet_data / "rrsisd_refs" / "refs(unc).p", tmp_path / "instances.json")
    counts = {split: sum(one.split == split for one in referents) for split in ("train", "val", "test")}
    assert counts == {"train": 12181, "val": 1740, "test": 3481}
    assert all(len(one.sentences) == 1 for one in referents)
