"""Which samples form which batch: a function of seed and epoch, whatever the ranks and workers."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
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

    With several sentences an image, what is permuted are sets of so many samples of one image, augmented alike; where
    an image's samples do not fill its last set, some of them come twice.

    Args:
        images: of each sample of the training set, which image it is of.
        global_batch: samples an optimiser step, over all ranks.
        ranks: number of ranks.
        rank: this one.
        accumulate: backward passes an optimiser step.
        seed: the run's seed.
        position: returns (epoch, batches of this rank that the epoch already had), asked at each start.
        sentences_per_image: samples of one image side by side.

    Raises:
        ConfigError: the global batch cannot be dealt evenly, or the training set is smaller than it.
    """

    def __init__(
        self,
        images: Sequence[Hashable],
        *,
        global_batch: int,
        ranks: int,
        rank: int,
        accumulate: int,
        seed: int,
        position: Callable[[], tuple[int, int]],
        sentences_per_image: int = 1,
    ) -> None:
        parts = ranks * accumulate * sentences_per_image
        if global_batch % parts:
            of_images = f" x {sentences_per_image} sentences an image" if sentences_per_image > 1 else ""
            raise ConfigError(
                f"data.batch_size={global_batch} (global) cannot be dealt to {ranks} ranks x {accumulate} "
                f"accumulation steps{of_images}; choose a multiple of {parts}"
            )
        if len(images) < global_batch:
            raise ConfigError(f"data.batch_size={global_batch}: the training set has only {len(images)} samples")
        self.sentences_per_image = sentences_per_image
        self._groups = _alike(images) if sentences_per_image > 1 else []
        self.num_samples = sum(_filled(len(group), sentences_per_image) for group in self._groups) or len(images)
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
        order, together = self._order(epoch), self.sentences_per_image
        size = self.batch_size
        for batch in range(done, len(self)):
            start = (batch * self.ranks + self.rank) * size
            sets = order[start : start + size].reshape(-1, together)
            yield [Draw(int(index), sample_seed(self.seed, epoch, some[0])) for some in sets for index in some]

    def _order(self, epoch: int) -> np.ndarray:
        random, together = np.random.Generator(np.random.PCG64([self.seed, epoch])), self.sentences_per_image
        if together == 1:
            return random.permutation(self.num_samples)
        filled = [np.resize(random.permutation(group), _filled(len(group), together)) for group in self._groups]
        sets = np.concatenate(filled).reshape(-1, together)
        return sets[random.permutation(len(sets))].flatten()


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


def _alike(images: Sequence[Hashable]) -> list[np.ndarray]:
    """The positions of each image's samples."""
    groups: dict[Hashable, list[int]] = {}
    for position, image in enumerate(images):
        groups.setdefault(image, []).append(position)
    return [np.array(group) for group in groups.values()]


def _filled(count: int, together: int) -> int:
    """The least multiple of `together` that is no less than `count`."""
    return -(-count // together) * together


def sample_seed(seed: int, epoch: int, index: int) -> int:
    """The seed of a sample's augmentation in an epoch, 0 to 2^31 - 1."""
    return int(np.random.SeedSequence([seed, epoch, int(index)]).generate_state(1)[0] >> 1)
