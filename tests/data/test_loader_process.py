"""Processes that load data while the training is told to stop."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from multiprocessing.synchronize import Event

import pytest

from sbanet.data import loader_process

LIMIT = 20.0


def load(ready: Event) -> None:
    loader_process.outlive_training()
    ready.set()
    time.sleep(LIMIT)


@pytest.fixture
def loader() -> multiprocessing.Process:
    fork = multiprocessing.get_context("fork")
    ready = fork.Event()
    process = fork.Process(target=load, args=(ready,))
    process.start()
    assert ready.wait(LIMIT)
    yield process
    process.kill()
    process.join()


def tell(loader: multiprocessing.Process, number: int, *, ends: bool) -> int | None:
    os.kill(loader.pid, number)
    loader.join(LIMIT if ends else 0.3)
    return loader.exitcode


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2])
def test_a_warning_is_for_the_training(loader: multiprocessing.Process, number: int) -> None:
    assert tell(loader, number, ends=False) is None
    assert tell(loader, number, ends=False) is None


def test_the_training_is_outlived(loader: multiprocessing.Process) -> None:
    assert tell(loader, signal.SIGTERM, ends=False) is None
    assert tell(loader, signal.SIGTERM, ends=True) == -signal.SIGTERM


def test_but_not_for_long(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setattr(loader_process, "LAST_SECONDS", 1)
    assert tell(request.getfixturevalue("loader"), signal.SIGTERM, ends=True) == -signal.SIGALRM
