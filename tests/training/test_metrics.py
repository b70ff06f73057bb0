"""Integers a sample, put together from any number of ranks without a change in any digit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sbanet.scores import score
from sbanet.training.metrics import ReferringScores, intersection_and_union

A_RANK = """
import json, sys
import torch
from sbanet.training.metrics import ReferringScores

rank, store, cases = int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
results = []
for parts in cases:
    scores = ReferringScores().to("cpu")
    for intersections, unions in parts[rank]:
        scores.update(torch.tensor(intersections), torch.tensor(unions))
    results.append(scores.compute())
print(json.dumps(results))
torch.distributed.destroy_process_group()
"""
"""Prints the scores of some cases, each a list of batches ([I, ...], [U, ...]) for each of two ranks."""


def counts(samples: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    unions = rng.integers(0, 640_000, samples)
    return (unions * rng.random(samples)).astype(np.int64), unions


def gathered(cases: list[list[list[list[list[int]]]]], store: Path) -> list[list[dict[str, float]]]:
    """What each of two processes computes for each case."""
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", A_RANK, str(rank), str(store), json.dumps(cases)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        outputs = [rank.communicate(timeout=120) for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0, 0], outputs
    return [json.loads(output.splitlines()[-1]) for output, _ in outputs]


@pytest.mark.parametrize("sizes", [[1], [4, 4], [5, 1, 3]])
def test_batches_score_as_all_samples_at_once(sizes: list[int]) -> None:
    intersections, unions = counts(sum(sizes))
    scores = ReferringScores()
    ends = np.cumsum(sizes)
    for start, end in zip(ends - sizes, ends, strict=True):
        scores.update(torch.from_numpy(intersections[start:end]), torch.from_numpy(unions[start:end]))
    assert scores.compute() == score(intersections, unions).as_dict()


def test_a_reset_forgets_the_samples() -> None:
    scores = ReferringScores()
    scores.update(torch.tensor([1]), torch.tensor([2]))
    scores.reset()
    scores.update(torch.tensor([3]), torch.tensor([4]))
    assert scores.compute()["mIoU"] == 0.75


def test_counts_beyond_float32_stay_exact() -> None:
    large = 2**24 + 1  # no float32
    scores = ReferringScores()
    scores.update(torch.tensor([large - 1]), torch.tensor([large]))
    assert scores.compute()["oIoU"] == (large - 1) / large


def test_half_precision_of_the_model_leaves_the_counts_alone() -> None:
    scores = ReferringScores()
    scores.update(torch.tensor([2049]), torch.tensor([2051]))  # neither is a bfloat16
    scores.bfloat16()
    scores.update(torch.tensor([1]), torch.tensor([1]))
    assert scores.compute() == score([2049, 1], [2051, 1]).as_dict()


def test_intersection_and_union_as_numpy_counts_them() -> None:
    rng = np.random.default_rng(1)
    prediction, target = rng.random((2, 5, 33, 47)) > 0.6
    prediction[0], target[0] = False, False
    prediction[1] = target[1]
    both, either = intersection_and_union(torch.from_numpy(prediction), torch.from_numpy(target))
    assert both.dtype == either.dtype == torch.int64
    np.testing.assert_array_equal(both, np.logical_and(prediction, target).sum((1, 2)))
    np.testing.assert_array_equal(either, np.logical_or(prediction, target).sum((1, 2)))
    assert (both[0], either[0]) == (0, 0)
    assert both[1] == either[1]


def test_intersection_and_union_of_one_mask_is_a_scalar() -> None:
    mask = torch.tensor([[True, True], [False, True]])
    both, either = intersection_and_union(mask, mask.roll(1, 1))
    assert (both.shape, int(both), int(either)) == ((), 2, 4)


@pytest.mark.slow
def test_two_processes_score_as_one(tmp_path: Path) -> None:
    intersections, unions = (array.tolist() for array in counts(9))
    uneven = [
        [[intersections[0:4], unions[0:4]], [intersections[6:9], unions[6:9]]],
        [[intersections[4:6], unions[4:6]]],
    ]
    one_has_none = [[[intersections, unions]], []]
    alone = score(intersections, unions).as_dict()
    assert gathered([uneven, one_has_none], tmp_path / "store") == [[alone, alone], [alone, alone]]
