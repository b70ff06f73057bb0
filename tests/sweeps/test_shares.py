"""Jobs side by side divide the machine."""

from __future__ import annotations

import pytest

from sbanet.sweeps import shares
from sbanet.sweeps.shares import share, visible_gpus


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def test_a_job_alone_has_the_machine() -> None:
    assert share(0, 1, processes=1, devices=["0", "1"]) == {}


def test_threads_and_gpus_are_divided() -> None:
    given = [share(slot, 2, processes=2, devices=["0", "1", "2", "5"]) for slot in (0, 1)]
    assert given == [
        {"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "0,1"},
        {"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "2,5"},
    ]
    assert share(7, 16, processes=4, devices=[]) == {"OMP_NUM_THREADS": "1"}


def test_what_the_user_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert share(0, 2, processes=1, devices=["0"]) == {}


def test_the_gpus_are_those_that_are_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-5f")
    assert visible_gpus() == ["3", "GPU-5f"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == []
