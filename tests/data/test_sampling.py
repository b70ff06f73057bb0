"""Which samples form which batch."""

from __future__ import annotations

import itertools

import pytest

from sbanet.data.sampling import Draw, EvalBatches, TrainBatches, sample_seed
from sbanet.errors import ConfigError

NUM_SAMPLES, GLOBAL_BATCH = 101, 24


def train_batches(ranks: int = 1, rank: int = 0, accumulate: int = 1, seed: int = 3, epoch: int = 0, done: int = 0):
    return TrainBatches(
        range(NUM_SAMPLES),
        global_batch=GLOBAL_BATCH,
        ranks=ranks,
        rank=rank,
        accumulate=accumulate,
        seed=seed,
        position=lambda: (epoch, done),
    )


def positions(batches: TrainBatches) -> list[int]:
    return [draw.position for draw in itertools.chain(*batches)]


def test_an_epoch_is_a_permutation_cut_to_whole_batches():
    batches = list(train_batches())
    assert len(batches) == len(train_batches()) == NUM_SAMPLES // GLOBAL_BATCH
    assert {len(batch) for batch in batches} == {GLOBAL_BATCH}
    order = positions(train_batches())
    assert len(set(order)) == len(order) == 96
    assert set(order) <= set(range(NUM_SAMPLES))
    assert order != sorted(order)


def test_what_an_epoch_leaves_out_comes_in_another():
    seen = set(itertools.chain(*(positions(train_batches(epoch=epoch)) for epoch in range(8))))
    assert seen == set(range(NUM_SAMPLES))


def test_the_order_is_a_function_of_seed_and_epoch():
    assert list(train_batches(seed=4, epoch=2)) == list(train_batches(seed=4, epoch=2))
    orders = {tuple(positions(train_batches(seed=seed, epoch=epoch))) for seed in (0, 1) for epoch in (0, 1)}
    assert len(orders) == 4


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("accumulate", [1, 2, 3])
def test_ranks_and_accumulation_share_out_the_same_global_batches(ranks, accumulate):
    whole = [set(batch) for batch in train_batches(epoch=5)]
    of_ranks = [list(train_batches(ranks, rank, accumulate, epoch=5)) for rank in range(ranks)]
    size = train_batches(ranks, 0, accumulate).batch_size
    assert size * ranks * accumulate == GLOBAL_BATCH
    for rank in range(ranks):
        assert len(of_ranks[rank]) == len(train_batches(ranks, rank, accumulate)) == len(whole) * accumulate
    for step, expected in enumerate(whole):
        micro = [of_ranks[rank][step * accumulate + k] for rank in range(ranks) for k in range(accumulate)]
        assert {len(batch) for batch in micro} == {size}
        dealt = [draw for batch in micro for draw in batch]
        assert len(dealt) == GLOBAL_BATCH
        assert set(dealt) == expected


@pytest.mark.parametrize(("ranks", "accumulate"), [(5, 1), (1, 16), (4, 9)])
def test_a_batch_that_cannot_be_dealt_evenly_is_refused(ranks, accumulate):
    with pytest.raises(ConfigError, match=rf"batch_size=24 .*{ranks} ranks x {accumulate} .*of {ranks * accumulate}$"):
        train_batches(ranks, 0, accumulate)


def test_a_training_set_smaller_than_a_batch_is_refused():
    with pytest.raises(ConfigError, match="batch_size=12: the training set has only 11 samples"):
        TrainBatches(range(11), global_batch=12, ranks=1, rank=0, accumulate=1, seed=0, position=lambda: (0, 0))


@pytest.mark.parametrize("done", range(9))
def test_a_resumed_epoch_yields_exactly_the_rest(done):
    whole = list(train_batches(2, 1, 2, epoch=7))
    assert list(train_batches(2, 1, 2, epoch=7, done=done)) == whole[done:]


def test_the_position_is_asked_at_every_start():
    place = [(0, 0)]
    batches = TrainBatches(range(8), global_batch=2, ranks=1, rank=0, accumulate=1, seed=0, position=lambda: place[0])
    first = list(batches)
    place[0] = (1, 0)
    second = list(batches)
    place[0] = (1, 3)
    assert list(batches) == second[3:]
    assert first != second


IMAGES = [*"aaaaabbccccdddddddd", *"e" * 12]
"""Of 31 samples: 5, 2, 4, 8 and 12."""


def in_sets(ranks: int = 1, rank: int = 0, epoch: int = 0, done: int = 0, batch: int = 8):
    return TrainBatches(
        IMAGES, global_batch=batch, ranks=ranks, rank=rank, accumulate=1, seed=3, position=lambda: (epoch, done),
        sentences_per_image=4,
    )  # fmt: skip


def test_samples_of_an_image_come_in_sets_that_are_augmented_alike():
    batches = list(in_sets())
    assert len(batches) == len(in_sets()) == 4  # of 36 samples: 8, 4, 4, 8, 12
    for batch in batches:
        for some in (batch[:4], batch[4:]):
            assert len({IMAGES[draw.position] for draw in some}) == 1
            assert len({draw.seed for draw in some}) == 1
    seeds = [batch[place].seed for batch in batches for place in (0, 4)]
    assert len(set(seeds)) == len(seeds)


def test_every_sample_is_in_a_set_and_none_twice_where_they_fill_it():
    drawn = list(itertools.chain(*([draw.position for draw in batch] for batch in in_sets(batch=12))))
    assert len(drawn) == 36
    assert set(drawn) == set(range(31))
    assert [drawn.count(position) for position in range(7, 31)] == [1] * 24
    assert sorted({tuple(drawn[k : k + 4]) for k in range(0, 36, 4)}) != sorted(
        tuple(batch[k].position for k in range(start, start + 4))
        for batch in in_sets(batch=12, epoch=1)
        for start in (0, 4, 8)
    )


def test_ranks_share_out_whole_sets():
    whole = [draw for batch in in_sets() for draw in batch]
    ones, others = (list(in_sets(2, rank)) for rank in (0, 1))
    assert [draw for pair in zip(ones, others, strict=True) for batch in pair for draw in batch] == whole
    assert list(in_sets(done=2)) == list(in_sets())[2:]


def test_a_batch_that_cuts_a_set_is_refused():
    with pytest.raises(ConfigError, match=r"batch_size=12 .*2 ranks x 1 .* x 4 sentences an image; choose .* of 8$"):
        in_sets(2, batch=12)


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 7])
def test_any_number_of_ranks_scores_the_same_batches(ranks):
    fixed = list(EvalBatches(22, batch_size=4, ranks=1, rank=0))
    assert [[draw.position for draw in batch] for batch in fixed] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9, 10, 11],
        [12, 13, 14, 15],
        [16, 17, 18, 19],
        [20, 21],
    ]
    dealt = [EvalBatches(22, batch_size=4, ranks=ranks, rank=rank) for rank in range(ranks)]
    assert [len(batches) for batches in dealt] == [len(list(batches)) for batches in dealt]
    assert sorted(itertools.chain(*dealt)) == fixed


def test_the_seed_of_a_sample_depends_on_run_epoch_and_sample():
    seeds = {sample_seed(seed, epoch, index) for seed in range(8) for epoch in range(8) for index in range(8)}
    assert len(seeds) == 8**3
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_draws_carry_the_seed_of_their_sample():
    for batch in train_batches(4, 2, seed=9, epoch=6):
        assert all(draw == Draw(draw.position, sample_seed(9, 6, draw.position)) for draw in batch)
