"""Signals that ask a training to stop."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from sbanet.errors import ConfigError
from sbanet.training import signals
from sbanet.training.signals import StopSignals, signals_named


@pytest.fixture
def watched() -> Iterator[StopSignals]:
    stops = StopSignals(["SIGUSR1", "SIGUSR2"])
    stops.watch()
    yield stops
    stops.unwatch()


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The signals by which the process would end itself."""
    sent: list[int] = []
    monkeypatch.setattr(signals.os, "kill", lambda _, number: sent.append(number))
    return sent


def receive(number: int) -> None:
    signal.raise_signal(number)
    time.sleep(0)  # handlers run between two instructions


def test_the_first_is_noted_and_a_later_one_ends(
    watched: StopSignals, ended: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    receive(signal.SIGUSR2)
    assert watched.received is signal.SIGUSR2
    receive(signal.SIGUSR1)  # the same request, told twice
    assert watched.received is signal.SIGUSR2
    assert ended == []
    monkeypatch.setattr(signals, "ONE_REQUEST", -1.0)
    receive(signal.SIGUSR1)
    assert ended == [signal.SIGUSR1]


def test_who_had_the_signals_has_them_again() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    stops = StopSignals(["SIGUSR1"])
    stops.watch()
    assert signal.getsignal(signal.SIGUSR1) != before
    stops.unwatch()
    assert signal.getsignal(signal.SIGUSR1) == before


@pytest.mark.parametrize("name", ["USR1", "SIGKILL", "SIGNOTHING"])
def test_what_cannot_be_heeded_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"a\.b: got {name}; expected names of .*SIGTERM"):
        signals_named(["SIGTERM", name], "a.b")
