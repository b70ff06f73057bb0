"""Contact sheets of a dataset: its samples as they are, and what augmentation makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from sbanet.data.batching import Samples
from sbanet.data.records import Sample
from sbanet.data.sampling import Draw, sample_seed
from sbanet.drawing import captioned, grid, overlay

COLUMNS = 6
EPOCHS = 3
"""Of a preview: how often each sample is shown as training sees it."""


def gallery(samples: Samples, count: int) -> bytes:
    """Samples spread evenly over a split, the referent outlined, as PNG."""
    shown = [samples.records[position] for position in spread(len(samples), count)]
    return png([_tile(*samples.dataset.pixels(record), record.expression) for record in shown], COLUMNS)


def preview(samples: Samples, count: int, *, seed: int) -> bytes:
    """A row a sample: as it came, then as the first epochs of a training with that seed see it, as PNG."""
    tiles = []
    for position in spread(len(samples), count):
        record = samples.records[position]
        tiles.append(_tile(*samples.dataset.pixels(record), f"before: {record.expression}"))
        tiles += [_tile(seen.image, seen.mask, seen.expression) for seen in _epochs(samples, position, seed)]
    return png(tiles, 1 + EPOCHS)


def spread(length: int, count: int) -> Sequence[int]:
    """At most `count` positions, evenly over `length`."""
    return range(length)[:: max(1, length // count)][:count]


def png(tiles: Sequence[np.ndarray], columns: int) -> bytes:
    """Pictures, (h, w, 3) uint8 RGB, in rows of one file."""
    return cv2.imencode(".png", cv2.cvtColor(grid(tiles, columns), cv2.COLOR_RGB2BGR))[1].tobytes()


def _epochs(samples: Samples, position: int, seed: int) -> Iterator[Sample]:
    for epoch in range(EPOCHS):
        yield samples[Draw(position, sample_seed(seed, epoch, position))]


def _tile(image: np.ndarray, mask: np.ndarray, expression: str) -> np.ndarray:
    return captioned(overlay(image, mask), expression)
