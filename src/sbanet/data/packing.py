"""Many small objects as one block of bytes, which loader processes share instead of copying it.

A Python object is written to whenever it is looked at (its reference count): in a process that was forked, every look
copies the page of memory that it lies on. Of a list of records each loader process would soon have its own.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from typing import Generic, TypeVar

import numpy as np
import torch

T = TypeVar("T")


class Packed(Generic[T]):
    """Items by their positions; each look at one makes it anew.

    Args:
        items: of any kind that pickles.
    """

    def __init__(self, items: Iterable[T]) -> None:
        packed = [pickle.dumps(item, pickle.HIGHEST_PROTOCOL) for item in items]
        # tensors, since they are shared too where processes are spawned
        self._ends = torch.from_numpy(np.cumsum([0, *map(len, packed)]))
        self._block = torch.frombuffer(bytearray(b"".join(packed)), dtype=torch.uint8)

    def __getitem__(self, position: int) -> T:
        start, stop = self._ends.numpy()[position : position + 2]
        found: T = pickle.loads(self._block.numpy()[start:stop].data)
        return found


class PackedByKey(Generic[T]):
    """Items by their keys.

    Args:
        items: of any kind that pickles, each with its key; of equal keys the last counts, as in a `dict`.
    """

    def __init__(self, items: Iterable[tuple[int, T]] | Iterable[tuple[str, T]]) -> None:
        of_key = dict(items)
        keys = np.array(list(of_key))
        order = np.argsort(keys)
        self._keys, self._places = keys[order], order
        self._items = Packed(of_key.values())

    def __getitem__(self, key: int | str) -> T:
        place = int(np.searchsorted(self._keys, key))
        if place == len(self._keys) or self._keys[place] != key:
            raise KeyError(key)
        return self._items[int(self._places[place])]
