"""Objects as one block of bytes: the same as they went in, by position and by key."""

from __future__ import annotations

import pytest

from sbanet.data.packing import Packed, PackedByKey
from sbanet.data.records import Record
from sbanet.data.sampling import Draw


def test_items_come_out_as_they_went_in():
    record = Record(
        sample_id="a-0", image="ä.jpg", instance=2**40, expression="", split="x", category="y", tags=("size",)
    )
    items = [record, Draw(1, 2), {"size": [3, 4], "counts": b"\x00"}, None]
    packed = Packed(items)
    assert [packed[position] for position in range(4)] == items


@pytest.mark.parametrize("keys", [(5, 3, 2**40, 1), ("b", "a b", "ab", "ä")])
def test_items_are_found_by_their_keys(keys):
    packed = PackedByKey((key, f"of {key}") for key in keys)
    assert [packed[key] for key in keys] == [f"of {key}" for key in keys]


def test_of_equal_keys_the_last_counts():
    assert PackedByKey([(1, "first"), (2, "other"), (1, "last")])[1] == "last"


@pytest.mark.parametrize("key", [0, 2, 4])
def test_another_key_is_an_error(key):
    with pytest.raises(KeyError, match=str(key)):
        PackedByKey([(1, "one"), (3, "three")])[key]
