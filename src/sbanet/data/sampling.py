"""Which samples form which batch: a function of seed and epoch, whatever the ranks and workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from sbanet.errors import ConfigError


class Draw(NamedTuple):
    """A sample of an epoch: its position in the dataset, and the seed of its augmentation."""

    position: int
    seed: int


class TrainBatches:
    """The training batches of one rank.

    The order of an epoch is a permutation drawn from (seed, epoch) and cut into global batches; each is dealt to
    the ranks and accumulation steps in turn. Any number of ranks sees the same global batches. Samples
    that do not fill a global batch are left out of the epoch.

    Args:
        num_samples: size of the training set.
        global_batch: samples an optimiser step, over all ranks.
        ranks: number of ranks.
        rank: this one.
        accumulate: backward passes an optimiser step.
        seed: the run's seed.
        position: returns (epoch, batches of this rank that the epoch already had), asked at each start.

    Raises:
        ConfigError: the global batch cannot be dealt evenly, or the training set is smaller than it.
    """

    def __init__(
        self,
        num_samples: int,
        *,
        global_batch: int,
        ranks: int,
        rank: int,
        accumulate: int,
        seed: int,
        position: Callable[[], tuple[int, int]],
    ) -> None:
        if global_batch % (ranks * accumulate):
            raise ConfigError(
                f"data.batch_size={global_batch} (global) cannot be dealt to {ranks} ranks x {accumulate} "
                f"accumulation steps; choose a multiple of {ranks * accumulate}"
            )
        if num_samples < global_batch:
            raise ConfigError(f"data.batch_size={global_batch}: the training set has only {num_samples} samples")
        self.num_samples = num_samples
        self.global_batch = global_batch
        self.ranks, self.rank, self.accumulate = ranks, rank, accumulate
        self.seed = seed
        self.position = position

    @property
    def batch_size(self) -> int:
        """Samples of one batch of one rank (read by Lightning)."""
        return self.global_batch // (self.ranks * self.accumulate)

    def __len__(self) -> int:
        return self.num_samples // self.global_batch * self.accumulate

    def __iter__(self) -> Iterator[list[Draw]]:
        epoch, done = self.position()
        order = np.random.Generator(np.random.PCG64([self.seed, epoch])).permutation(self.num_samples)
        size = self.batch_size
        for batch in range(done, len(self)):
            start = (batch * self.ranks + self.rank) * size
            yield [Draw(int(index), sample_seed(self.seed, epoch, index)) for index in order[start : start + size]]


class EvalBatches:
    """The evaluation batches of one rank: fixed by the dataset's order and dealt whole.

    No sample is repeated or padded, so that any number of ranks scores the same batches.

    Args:
        num_samples: size of the split.
        batch_size: samples a batch.
        ranks: number of ranks.
        rank: this one.
    """

    def __init__(self, num_samples: int, *, batch_size: int, ranks: int, rank: int) -> None:
        self.num_samples = num_samples
        self.batch_size = batch_size
        self.ranks, self.rank = ranks, rank

    def __len__(self) -> int:
        batches = -(-self.num_samples // self.batch_size)
        return len(range(self.rank, batches, self.ranks))

    def __iter__(self) -> Iterator[list[Draw]]:
        starts = range(0, self.num_samples, self.batch_size)
        for start in starts[self.rank :: self.ranks]:
            yield [Draw(index, 0) for index in range(start, min(start + self.batch_size, self.num_samples))]


def sample_seed(seed: int, epoch: int, index: int) -> int:
    """The seed of a sample's augmentation in an epoch, 0 to 2^31 - 1."""
    return int(np.random.SeedSequence([seed, epoch, int(index)]).generate_state(1)[0] >> 1)
