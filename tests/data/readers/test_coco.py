"""COCO annotations: every way to write a mask, and every way to get the file wrong."""

import json
import re

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from sbanet.data.readers.coco import in_plain_words, read_coco
from sbanet.errors import DataError

MASK = np.zeros((6, 8), bool)
MASK[1:4, 2:7] = True
COMPRESSED = coco_mask.encode(np.asfortranarray(MASK, np.uint8))
SEGMENTATIONS = {
    "polygon": [[2, 1, 7, 1, 7, 4, 2, 4]],
    "two polygons": [[2, 1, 4, 1, 4, 4, 2, 4], [4, 1, 7, 1, 7, 4, 4, 4]],
    "run lengths": {"size": [6, 8], "counts": [13, 3, 3, 3, 3, 3, 3, 3, 3, 3, 8]},
    "compressed": {"size": [6, 8], "counts": COMPRESSED["counts"].decode()},
}


def content(**annotation):
    entry = {"id": 5, "image_id": 1, "category_id": 3, "segmentation": SEGMENTATIONS["polygon"], "iscrowd": 0}
    return {
        "images": [{"id": 1, "file_name": "a.png", "height": 6, "width": 8}],
        "categories": [{"id": 3, "name": "Storage_Tank"}, {"id": 4, "name": "ship"}],
        "annotations": [entry | annotation],
    }


def read(tmp_path, value):
    path = tmp_path / "a.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return read_coco(path)


@pytest.mark.parametrize("kind", SEGMENTATIONS)
def test_masks_however_they_are_written(tmp_path, kind):
    [image] = read(tmp_path, content(segmentation=SEGMENTATIONS[kind]))
    [found] = image.objects
    assert (image.number, image.file, image.height, image.width) == (1, "a.png", 6, 8)
    assert np.array_equal(found.mask(), MASK)
    assert found.annotation == 5
    assert found.instance.category == "storage tank"
    assert found.instance.box == (2, 1, 7, 4)
    assert found.instance.area == 15
    assert (found.instance.colours, found.instance.shape) == ((), None), "nothing is known of them"


def test_a_crowd_silences_its_category(tmp_path):
    crowd = content()
    crowd["annotations"] += [
        {**crowd["annotations"][0], "id": 6, "iscrowd": 1},
        {**crowd["annotations"][0], "id": 7, "category_id": 4},
    ]
    [image] = read(tmp_path, crowd)
    assert [found.annotation for found in image.objects] == [7]


def test_an_object_without_pixels_is_left_out(tmp_path):
    [image] = read(tmp_path, content(segmentation={"size": [6, 8], "counts": [48]}))
    assert image.objects == []


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{", "cannot be read as json"),
        ("[]", "is not as COCO instance annotations are"),
        ({"images": []}, "KeyError: 'categories'"),
        (content(image_id=9), "KeyError: 9"),
        (content(category_id=9), "KeyError: 9"),
        (content(segmentation=None), "its segmentation is a NoneType, expected polygons or run lengths"),
    ],
)
def test_files_that_are_no_annotations(tmp_path, value, message):
    with pytest.raises(DataError, match=rf"{re.escape(str(tmp_path))}.*a.json: .*{message}"):
        read(tmp_path, value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"none.json: no such file; expected COCO"):
        read_coco(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("name", "words"), [("ground_track_field", "ground track field"), ("T-Junction", "t junction"), (" Ship ", "ship")]
)
def test_categories_in_plain_words(name, words):
    assert in_plain_words(name) == words
