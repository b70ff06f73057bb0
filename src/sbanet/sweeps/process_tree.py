"""A process and all that it starts: begun with nothing of its parent's ranks, ended as a whole."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

OF_A_RANK = (
    "RANK", "LOCAL_RANK", "GROUP_RANK", "NODE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE",
    "MASTER_ADDR", "MASTER_PORT", "PL_GLOBAL_SEED",
)  # fmt: skip
"""What Lightning and torchrun tell a rank by environment variables; a job's own ranks must not inherit it."""
PREFIXES_OF_A_RANK = ("ROLE_", "TORCHELASTIC_")

GRACE = 20.0
"""Seconds that processes have to end by themselves once they are asked to."""

_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux


class ProcessTree:
    """A command in a session of its own, its output in a file.

    Where this process is killed, Linux asks the command to end: an orphan would go on writing to its folder.

    Args:
        command: the program and its arguments.
        log: the file that output and errors are appended to.
        environment: variables beside those of this process.
    """

    def __init__(self, command: Sequence[str], *, log: Path, environment: Mapping[str, str]) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=without_rank(os.environ) | dict(environment),
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )

    def poll(self) -> int | None:
        """The exit code once the command has ended, negative = by that signal; what it had started then ends too."""
        code = self._process.poll()
        if code is not None:
            self._end_what_is_left(GRACE if code else 0.0)
        return code

    def stop(self) -> None:
        """End the whole tree: politely, then by force."""
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE)
        self._end_what_is_left(0.0)
        self._process.wait()

    def _end_what_is_left(self, grace: float) -> None:
        """Wait for ranks that are ending anyway, as after an error of their own; end those that hang."""
        until = time.monotonic() + grace
        while self._signal(0) and time.monotonic() < until:
            time.sleep(0.1)
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> bool:
        """Signal every process of the tree; False where there is none left."""
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return False
        return True


def without_rank(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables without those that make a process a rank of a group."""
    return {
        name: value
        for name, value in environment.items()
        if name not in OF_A_RANK and not name.startswith(PREFIXES_OF_A_RANK)
    }


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)
