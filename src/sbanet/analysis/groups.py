"""What a breakdown breaks down by: each grouping gives every sample the groups it belongs to.

A grouping is `(predictions) -> Groups`, so a new breakdown is a function of ten lines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

SIZE_EDGES = (0.005, 0.015, 0.05)
"""Shares of the image that part tiny, small, medium and large referents."""

LENGTH_EDGES = (5, 9, 13)
"""Words at which the next group of expression lengths begins."""


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of every sample.

    Attributes:
        members: a row a (sample, group it is in): `row`, the sample's position, and `group`, its name.
        order: the groups' names as a table shall list them.
    """

    members: pd.DataFrame
    order: tuple[str, ...]

    def rows(self, group: str) -> np.ndarray:
        """(n,) positions of the samples in a group."""
        return self.members.loc[self.members["group"] == group, "row"].to_numpy()


Grouping = Callable[[pd.DataFrame], Groups]
"""Predictions -> the groups of each sample."""


def by_skill(predictions: pd.DataFrame) -> Groups:
    """By tag, the most frequent first; a sample counts in each of its tags."""
    tags = predictions["tags"].reset_index(drop=True).explode().dropna()
    return _by_frequency(pd.DataFrame({"row": tags.index, "group": tags.to_numpy()}))


def by_category(predictions: pd.DataFrame) -> Groups:
    """By the referent's category, the most frequent first."""
    return _by_frequency(
        pd.DataFrame({"row": np.arange(len(predictions)), "group": predictions["category"].to_numpy()})
    )


def by_size(predictions: pd.DataFrame, edges: Sequence[float] = SIZE_EDGES) -> Groups:
    """By the referent's share of its image, at the image's own size.

    Args:
        predictions: with `target_pixels`, `height`, `width`.
        edges: rising shares in (0, 1); an edge belongs to the group above it.
    """
    percent = [f"{100 * edge:g}" for edge in edges]
    between = [f"{low} to {high} %" for low, high in pairwise(percent)]
    names = [f"below {percent[0]} %", *between, f"{percent[-1]} % and more"] if percent else []
    share = predictions["target_pixels"] / (predictions["height"] * predictions["width"])
    return _by_edges(share.to_numpy(), edges, names)


def by_length(predictions: pd.DataFrame, edges: Sequence[int] = LENGTH_EDGES) -> Groups:
    """By the number of words of the expression.

    Args:
        predictions: with `expression`.
        edges: rising numbers of words; an edge belongs to the group above it.
    """
    words = predictions["expression"].str.split().str.len().to_numpy()
    between = [f"{low} to {high - 1} words" for low, high in pairwise(edges)]
    names = [f"below {edges[0]} words", *between, f"{edges[-1]} words and more"] if edges else []
    return _by_edges(words, edges, names)


def _by_frequency(members: pd.DataFrame) -> Groups:
    counts = members["group"].value_counts()
    return Groups(members, tuple(sorted(counts.index, key=lambda group: (-counts[group], group))))


def _by_edges(values: np.ndarray, edges: Sequence[float], names: Sequence[str]) -> Groups:
    """Half-open bins [a, b); empty bins are left out of the order."""
    if not edges or any(low >= high for low, high in pairwise(edges)):
        raise ValueError(f"edges: got {list(edges)}, expected at least one, rising")
    bins = np.digitize(values, edges)
    members = pd.DataFrame({"row": np.arange(len(values)), "group": np.array(names)[bins]})
    return Groups(members, tuple(names[index] for index in np.unique(bins)))
