"""Signals that ask a training to save and stop: Ctrl-C, a cluster's warning before it takes the machine away."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterable
from types import FrameType
from typing import Any

from sbanet.errors import ConfigError

RUN_AGAIN = 75
"""The exit code of a run that was stopped and goes on when its command is run again: EX_TEMPFAIL of sysexits.h."""


ONE_REQUEST = 1.0
"""Seconds within which further signals are the same request: where a parent of several threads is killed, Linux tells
its children of each thread's end."""


class StopSignals:
    """Notes the first of some signals, for the training to act on where it can; a later one ends the process.

    Args:
        names: such as `SIGTERM`.

    Raises:
        ConfigError: a name that this system does not know, or a signal that cannot be caught.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.signals = signals_named(names, "stop_signals")
        self.received: signal.Signals | None = None
        self._received_at = 0.0
        self._before: dict[signal.Signals, Any] = {}

    def watch(self) -> None:
        """Note the signals from here on; what was done about them comes back with `unwatch`."""
        if not self._before and threading.current_thread() is threading.main_thread():
            self._before = {one: signal.signal(one, self._note) for one in self.signals}

    def unwatch(self) -> None:
        """Leave the signals to whoever had them before."""
        while self._before:
            one, handler = self._before.popitem()
            signal.signal(one, signal.SIG_DFL if handler is None else handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received, self._received_at = signal.Signals(number), time.monotonic()
        elif time.monotonic() - self._received_at > ONE_REQUEST:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


def signals_named(names: Iterable[str], key: str) -> list[signal.Signals]:
    """The signals of some names, such as `SIGTERM`.

    Args:
        names: that a config has.
        key: where it has them.

    Raises:
        ConfigError: a name that this system does not know, or a signal that cannot be caught.
    """
    known = {one.name: one for one in signal.valid_signals() if isinstance(one, signal.Signals)}
    catchable = known.keys() - {"SIGKILL", "SIGSTOP"}
    names = list(names)
    if unknown := [name for name in names if name not in catchable]:
        raise ConfigError(
            f"{key}: got {', '.join(map(str, unknown))}; expected names of {', '.join(sorted(catchable))}"
        )
    return [known[name] for name in names]
