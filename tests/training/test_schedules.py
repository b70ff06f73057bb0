"""Learning-rate factors against their closed forms."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch.optim.lr_scheduler import LambdaLR

from sbanet.training.schedules import cosine, poly


def rates(schedule: Callable[..., LambdaLR], steps: int, **options: float) -> list[float]:
    """The rate of a parameter whose peak is 2, before each optimiser step and after the last."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    scheduler = schedule(optimizer, **options)
    values = [optimizer.param_groups[0]["lr"]]
    for _ in range(steps):
        optimizer.step()
        scheduler.step()
        values.append(optimizer.param_groups[0]["lr"])
    return values


def test_poly_without_warm_up_is_the_closed_form() -> None:
    expected = [2 * (1 - step / 10) ** 0.9 for step in range(11)]
    assert rates(poly, 10, total_steps=10) == pytest.approx(expected, abs=1e-15)


def test_poly_takes_its_exponent() -> None:
    assert rates(poly, 4, total_steps=4, power=2.0) == pytest.approx([2, 2 * 0.75**2, 0.5, 2 * 0.25**2, 0])


def test_poly_stays_at_zero_behind_its_end() -> None:
    *before, end, behind = rates(poly, 6, total_steps=5)
    assert min(before) > 0
    assert (end, behind) == (0, 0)


def test_cosine_without_warm_up_is_the_closed_form() -> None:
    expected = [1 + math.cos(math.pi * step / 8) for step in range(9)]
    values = rates(cosine, 8, total_steps=8)
    assert values == pytest.approx(expected, abs=1e-15)
    assert (values[0], values[4], values[8]) == (2, pytest.approx(1), pytest.approx(0))


def test_cosine_ends_at_its_floor_and_stays_there() -> None:
    values = rates(cosine, 7, total_steps=5, floor=0.1)
    assert values[0] == 2
    assert values[5:] == pytest.approx([0.2, 0.2, 0.2])


def test_the_warm_up_rises_linearly_to_the_curve() -> None:
    # of 3 steps: 1/4, 2/4, 3/4, then the curve
    assert rates(cosine, 3, total_steps=11, warmup_steps=3)[:4] == pytest.approx([0.5, 1.0, 1.5, 2.0])
    warm = [2 * min(1, (step + 1) / 4) * (1 - step / 10) ** 0.9 for step in range(11)]
    assert rates(poly, 10, total_steps=10, warmup_steps=3) == pytest.approx(warm)


def test_cosine_spends_its_half_wave_behind_the_warm_up() -> None:
    values = rates(cosine, 10, total_steps=10, warmup_steps=2)
    assert values[2] == 2  # step 2 is the first of the curve
    assert values[6] == pytest.approx(1)
    assert values[10] == pytest.approx(0)


@pytest.mark.parametrize("schedule", [poly, cosine])
def test_the_first_step_learns(schedule: Callable[..., LambdaLR]) -> None:
    assert all(value > 0 for value in rates(schedule, 19, total_steps=20, warmup_steps=5)[:20])


@pytest.mark.parametrize("schedule", [poly, cosine])
def test_a_run_of_warm_up_alone_is_possible(schedule: Callable[..., LambdaLR]) -> None:
    assert all(math.isfinite(value) for value in rates(schedule, 2, total_steps=1, warmup_steps=1))


@pytest.mark.parametrize("schedule", [poly, cosine])
def test_every_group_keeps_its_own_peak(schedule: Callable[..., LambdaLR]) -> None:
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in (1.0, 0.1)]
    optimizer = torch.optim.SGD(groups)
    scheduler = schedule(optimizer, total_steps=10, warmup_steps=2)
    for _ in range(5):
        first, second = (group["lr"] for group in optimizer.param_groups)
        assert second == pytest.approx(first / 10)
        optimizer.step()
        scheduler.step()
