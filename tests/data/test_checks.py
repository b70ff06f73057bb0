"""Every kind of thing that is wrong with a dataset is found, and nothing in a sound one."""

from __future__ import annotations

import json
import pickle
import shutil

import cv2
import numpy as np
import pytest
from hydra.utils import instantiate

from sbanet.config import compose
from sbanet.data.checks import SHOWN, check_annotations, check_pixels, check_sentences, require_sound
from sbanet.data.readers.plain_pickle import read_plain_pickle
from sbanet.errors import DataError
from sbanet.models.text_encoders.word_transformer import WordTokenizer
from tests.tiny_phrases import write_phrases
from tests.tiny_refer import write_refer

COUNTS = {"train": 8, "val": 2, "test": 3}


@pytest.fixture
def root(tmp_path):
    return write_phrases(tmp_path / "phrases", COUNTS)


def splits_of(root, name="refsegrs"):
    data = instantiate(compose("train", [f"data={name}", f"data.root={root}"]).data, tokenizer=None)
    return {split: data.dataset(split) for split in data.splits}


def said(findings):
    return [(one.split, one.kind, one.count, one.severity) for one in findings]


def test_nothing_is_wrong_with_a_sound_one(root, tmp_path):
    words = WordTokenizer(
        ["vehicle", "in", "the", "parking", "area", "light", "-", "duty", "driving", "on", "road", "marking"]
    )
    assert check_annotations(splits_of(root), COUNTS) == []
    assert check_pixels(splits_of(root)) == []
    assert check_sentences(splits_of(root), words) == []
    refer = splits_of(write_refer(tmp_path / "refer", {"train": 3, "val": 2, "test": 2}), "rrsisd")
    assert check_annotations(refer, {"train": 3}) == []
    require_sound("refsegrs", splits_of(root), COUNTS)


def test_another_number_of_samples(root):
    [found] = check_annotations(splits_of(root), {**COUNTS, "val": 431})
    assert said([found]) == [("val", "another number of samples", 1, "numbers")]
    assert str(found).startswith("val: another number of samples (1): 2 samples, published are 431; download")


def test_missing_files_are_named_a_few_at_a_time(root):
    shutil.rmtree(root / "masks")
    (root / "masks").mkdir()
    [train, *_] = check_annotations(splits_of(root), {})
    assert said([train]) == [("train", "a missing file", 8, "numbers")]
    assert train.where == tuple(str(root / "masks" / f"{number}.*") for number in range(1, SHOWN + 1))
    assert ", ..." in str(train)


def test_a_sentence_that_is_empty(root):
    (root / "output_phrase_val.txt").write_text("9\n10 road\n")
    assert said(check_annotations(splits_of(root), {})) == [("val", "an empty sentence", 1, "numbers")]


def test_an_id_twice(tmp_path):
    root = write_refer(tmp_path / "refer", {"train": 3, "val": 1, "test": 1})
    path = root / "rrsisd" / "refs(unc).p"
    entries = read_plain_pickle(path)
    path.write_bytes(pickle.dumps([*entries, entries[1]]))
    [found] = check_annotations(splits_of(root, "rrsisd"), {})
    assert said([found]) == [("train", "an id more than once", 1, "numbers")]
    assert found.where == ("train-2-0 (2 times)",)


def test_a_train_image_in_another_split_by_name(root):
    with (root / "output_phrase_test.txt").open("a") as file:
        file.write("2 road marking\n")
    [found] = check_annotations(splits_of(root), {})
    assert said([found]) == [("test", "an image of train here, too", 1, "numbers")]
    assert found.where == (str(root / "images" / "2.tif"),)


def test_a_train_image_in_another_split_by_content(root):
    cv2.imwrite(str(root / "images" / "9.png"), cv2.imread(str(root / "images" / "2.tif")))
    (root / "images" / "9.tif").unlink()
    assert check_annotations(splits_of(root), COUNTS) == []
    [found] = check_pixels(splits_of(root))
    assert said([found]) == [("val", "the content of a train image here, too", 1, "numbers")]
    assert found.where == (f"{root / 'images' / '9.png'} = {root / 'images' / '2.tif'}",)


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (lambda root: (root / "images" / "3.tif").write_bytes(b""), "image or mask that cannot be used"),
        (lambda root: (root / "masks" / "3.tif").unlink(), "image or mask that cannot be used"),
        (
            lambda root: cv2.imwrite(str(root / "masks" / "3.tif"), np.full((9, 9), 255, np.uint8)),
            "image or mask that cannot be used",
        ),
        (lambda root: cv2.imwrite(str(root / "masks" / "3.tif"), np.zeros((40, 56), np.uint8)), "an empty mask"),
    ],
)
def test_pixels_that_cannot_be_used(root, damage, kind):
    damage(root)
    [found] = check_pixels(splits_of(root))
    assert said([found]) == [("train", kind, 1, "numbers")]
    assert "3." in found.where[0]


def test_every_sample_is_seen(root):
    seen = []
    check_pixels(splits_of(root), seen=lambda: seen.append(1))
    assert len(seen) == sum(COUNTS.values())


def test_sentences_that_are_read_in_part(root):
    splits = {"val": splits_of(root)["val"]}  # of the 9th and the 10th sample
    words = WordTokenizer(["vehicle", "the", "road", "on", "duty", "light", "-", "parking", "area"], max_tokens=7)
    cut, unknown = check_sentences(splits, words)
    assert said([cut, unknown]) == [
        ("val", "a sentence that is cut", 1, "note"),
        ("val", "a word unknown to the tokenizer", 2, "note"),
    ]
    assert cut.where == ("light-duty vehicle driving on the road",)
    assert set(unknown.where) == {"driving", "in"}


def test_training_is_refused_in_one_line(root):
    shutil.rmtree(root / "masks")
    (root / "masks").mkdir()
    with pytest.raises(DataError, match=r"refsegrs: train: a missing file \(8\)") as refused:
        require_sound("refsegrs", splits_of(root), COUNTS)
    assert "\n" not in str(refused.value)
    assert "data.check=false" in str(refused.value)


@pytest.mark.parametrize("check", [True, False])
def test_the_data_module_asks_unless_told_not_to(root, check):
    (root / "images" / "1.tif").unlink()
    cfg = compose("train", ["data=refsegrs", f"data.root={root}", "data.published=null", f"data.check={check}"])
    data = instantiate(cfg.data, tokenizer=None)
    if check:
        with pytest.raises(DataError, match="a missing file"):
            data.require_sound()
    else:
        data.require_sound()
    assert json.dumps(data.published) == "{}"
