"""What all datasets are, and the controls over their sentences."""

from __future__ import annotations

from collections import Counter

import pytest

from sbanet.data.datasets import swap_sentences
from sbanet.data.records import Record
from sbanet.errors import DataError

from .conftest import Noise


def record(image: str, instance: int, number: int) -> Record:
    return Record(
        sample_id=f"{image}-{number}",
        image=image,
        instance=instance,
        expression=f"object {instance} of {image}, {number}",
        split="val",
        category="ship",
    )


RECORDS = [
    *(record("a", instance, number) for number, instance in enumerate((0, 1, 2, 0, 1))),
    record("b", 0, 0),
    *(record("c", instance, number) for number, instance in enumerate((3, 3))),
    *(record("d", instance, number) for number, instance in enumerate((1, 0))),
]


def test_own_sentences_are_as_they_were():
    assert swap_sentences(RECORDS, "own") == RECORDS


def test_none_silences_every_sample():
    silent = swap_sentences(RECORDS, "none")
    assert [r.sample_id for r in silent] == [r.sample_id for r in RECORDS]
    assert {r.expression for r in silent} == {""}


def test_other_says_what_is_said_of_another_object_of_the_image():
    swapped = swap_sentences(RECORDS, "other")
    said = {r.expression: r for r in RECORDS}
    own = {r.sample_id: r for r in RECORDS}
    # "b" has one object, "c" two sentences about one: there is no other
    assert [r.sample_id for r in swapped] == [f"a-{k}" for k in range(5)] + ["d-0", "d-1"]
    for r in swapped:
        assert said[r.expression].image == r.image
        assert said[r.expression].instance != r.instance
        assert r == own[r.sample_id].with_expression(r.expression)


def test_other_uses_the_sentences_about_equally_often(tiny_data):
    records = tiny_data().samples("train").dataset.records
    swapped = swap_sentences(records, "other")
    said = {(r.image, r.expression): r.instance for r in records}
    assert all(said[r.image, r.expression] != r.instance for r in swapped)
    assert max(Counter((r.image, r.expression) for r in swapped).values()) <= 2


def test_an_unknown_control_is_named():
    with pytest.raises(DataError, match=r"data.sentence='any': expected own, other, none"):
        swap_sentences(RECORDS, "any")


def test_a_control_that_leaves_nothing_is_an_error():
    with pytest.raises(DataError, match=r"data.sentence=other: no image has the sentences of two objects"):
        swap_sentences(RECORDS[5:8], "other")


def test_a_split_without_samples_is_an_error():
    with pytest.raises(DataError, match="Noise: the split has no samples"):
        Noise(0)
