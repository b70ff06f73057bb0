"""The layout of RefSegRS and RISBench."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hydra.utils import instantiate

from sbanet.config import compose
from sbanet.data.batching import Samples
from sbanet.data.readers.phrases import read_phrases
from sbanet.data.sampling import Draw
from sbanet.data.transforms import Transform
from sbanet.errors import DataError
from tests.tiny_phrases import SENTENCES, SIZE, write_phrases


def module(root, name="refsegrs"):
    return instantiate(compose("train", [f"data={name}", f"data.root={root}"]).data, tokenizer=None)


@pytest.mark.parametrize(
    ("name", "images", "masks", "suffix"),
    [
        ("refsegrs", "images", "masks", ".tif"),
        ("risbench", "img_rgb", "mask", ".png"),
        ("risbench", "images", "masks", ".jpg"),
    ],
)
def test_a_sample_a_line(tmp_path, name, images, masks, suffix):
    data = module(write_phrases(tmp_path, {"train": 3, "val": 2, "test": 2}, images, masks, suffix), name)
    assert {split: len(data.dataset(split)) for split in data.splits} == {"train": 3, "val": 2, "test": 2}
    val = data.dataset("val")
    first = val.records[0]
    assert (first.sample_id, first.image, first.expression) == ("val-4-0", "4", SENTENCES[1])
    image, mask = val.pixels(first)
    assert image.shape == (*SIZE, 3)
    assert (mask.shape, mask.dtype, mask.sum()) == (SIZE, bool, 12 * 15)
    assert image[mask].mean() > 150
    assert [path.suffix for path in val.files(first)] == [suffix] * 2
    assert len(set(data.fingerprint().values())) == 3


def test_several_sentences_of_an_image_have_ids_of_their_own(tmp_path):
    root = write_phrases(tmp_path, {"train": 2, "val": 1, "test": 1})
    (root / "output_phrase_val.txt").write_text("3 one thing\n\n3   another\n")
    records = module(root).dataset("val").records
    assert [(one.sample_id, one.expression) for one in records] == [("val-3-0", "one thing"), ("val-3-1", "another")]


@pytest.mark.parametrize("native_masks", [True, False])
def test_an_image_is_read_once_for_its_sentences(tmp_path, monkeypatch, native_masks):
    root = write_phrases(tmp_path, {"val": 1})
    (root / "output_phrase_val.txt").write_text("1 one thing\n1 another\n")
    dataset = module(root).dataset("val")
    samples = Samples(dataset, dataset.records, Transform(image_size=24), native_masks=native_masks)
    alone = samples[Draw(1, 0)]
    read, image = [], dataset.image
    monkeypatch.setattr(dataset, "image", lambda record: read.append(record.sample_id) or image(record))
    first, second = samples.__getitems__([Draw(0, 0), Draw(1, 0)])
    assert read == ["val-1-0"]
    assert second.image is first.image
    assert np.array_equal(second.image, alone.image)
    assert np.array_equal(second.mask, alone.mask)


@pytest.mark.parametrize(("grey", "foreground"), [(50, False), (51, True)])
def test_the_foreground_is_above_the_threshold(tmp_path, grey, foreground):
    root = write_phrases(tmp_path, {"val": 1})
    cv2.imwrite(str(root / "masks" / "1.tif"), np.full(SIZE, grey, np.uint8))
    dataset = module(root).dataset("val")
    assert dataset.mask(dataset.records[0]).all() == foreground


def test_a_mask_of_another_size(tmp_path):
    root = write_phrases(tmp_path, {"val": 1})
    cv2.imwrite(str(root / "masks" / "1.tif"), np.zeros((8, 9), np.uint8))
    dataset = module(root).dataset("val")
    with pytest.raises(DataError, match=r"masks/1\.tif: the mask has 8x9 pixels, its image 40x56"):
        dataset.pixels(dataset.records[0])


def test_a_file_that_is_not_there(tmp_path):
    root = write_phrases(tmp_path, {"val": 1})
    (root / "images" / "1.tif").unlink()
    dataset = module(root).dataset("val")
    with pytest.raises(DataError, match=r"images/1\.\*: no such file"):
        dataset.pixels(dataset.records[0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file; expected `<id> <phrase>` a line"),
        ("1 caf\u00e9".encode("latin-1"), r"is not UTF-8 text \(byte 5\); convert it"),
        (b"1 a\0b", "line 1 is not text"),
    ],
)
def test_phrases_that_cannot_be_read(tmp_path, content, message):
    path = tmp_path / "phrases.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=rf"phrases.txt: {message}"):
        read_phrases(path)


def test_a_line_without_a_sentence_is_kept_for_the_check(tmp_path):
    (tmp_path / "phrases.txt").write_text("1\n2 a road\n")
    assert read_phrases(tmp_path / "phrases.txt") == [("1", ""), ("2", "a road")]


def test_an_unknown_split_and_an_empty_one(tmp_path):
    root = write_phrases(tmp_path, {"val": 1})
    with pytest.raises(DataError, match="split='testA': refsegrs has no such split; known: train, val, test"):
        module(root).dataset("testA")
    (root / "output_phrase_val.txt").write_text("\n")
    with pytest.raises(DataError, match=r"output_phrase_val.txt: has no phrase"):
        module(root).dataset("val")
