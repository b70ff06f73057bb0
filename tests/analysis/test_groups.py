"""Which samples a breakdown puts together."""

from __future__ import annotations

import pandas as pd
import pytest

from sbanet.analysis.groups import by_category, by_length, by_size, by_skill


def test_a_sample_counts_in_each_of_its_tags() -> None:
    # An index that is not 0, 1, 2: positions are what a group holds.
    frame = pd.DataFrame({"tags": [("size", "colour"), ("colour",), ()]}, index=[7, 8, 9])
    groups = by_skill(frame)
    assert groups.order == ("colour", "size")
    assert groups.rows("colour").tolist() == [0, 1]
    assert groups.rows("size").tolist() == [0]


def test_categories_by_frequency_then_by_name() -> None:
    frame = pd.DataFrame({"category": ["ship", "dam", "airport", "ship"]})
    assert by_category(frame).order == ("ship", "airport", "dam")


def test_an_edge_belongs_to_the_size_above_it() -> None:
    frame = pd.DataFrame({"target_pixels": [49, 50, 149, 150, 500, 9000], "height": 100, "width": 100})
    groups = by_size(frame)
    assert groups.order == ("below 0.5 %", "0.5 to 1.5 %", "1.5 to 5 %", "5 % and more")
    assert [groups.rows(group).tolist() for group in groups.order] == [[0], [1, 2], [3], [4, 5]]


def test_empty_sizes_are_not_listed() -> None:
    frame = pd.DataFrame({"target_pixels": [10, 9000], "height": 100, "width": 100})
    assert by_size(frame, edges=(0.01, 0.1)).order == ("below 1 %", "10 % and more")


def test_length_in_words() -> None:
    frame = pd.DataFrame({"expression": ["the ship", "a  ship at the bottom", "a " * 20]})
    groups = by_length(frame)
    assert groups.order == ("below 5 words", "5 to 8 words", "13 words and more")
    assert groups.rows("5 to 8 words").tolist() == [1]


@pytest.mark.parametrize("edges", [(), (0.2, 0.1), (0.1, 0.1)])
def test_edges_that_do_not_rise_are_refused(edges: tuple) -> None:
    frame = pd.DataFrame({"target_pixels": [10], "height": 100, "width": 100})
    with pytest.raises(ValueError, match="expected at least one, rising"):
        by_size(frame, edges=edges)
