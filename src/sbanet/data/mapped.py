"""Arrays made once, in a folder that all processes of a machine map into their memory."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike

Task = TypeVar("Task")
Result = TypeVar("Result")

_work: Callable[[Any], Any]
"""What a process of a pool does with a task."""


def make_once(folder: Path, make: Callable[[Path], None]) -> None:
    """Make a folder unless it is there.

    Any number of processes may ask at once: one makes it, the others wait. It appears only when complete.

    Args:
        folder: what to make; what lies above it is made too.
        make: fills the empty folder that it is given.

    Raises:
        OSError: it cannot be written.
    """
    if folder.exists():
        return
    with _locked(folder.with_name(f".{folder.name}.lock")):
        if not folder.exists():
            _make(folder, make)


def _make(folder: Path, make: Callable[[Path], None]) -> None:
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed: the lock is ours
    partial.mkdir()
    try:
        make(partial)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


def reserve(path: Path, shape: tuple[int, ...], dtype: DTypeLike = np.uint8) -> None:
    """An array file with all its blocks reserved: a full disk is found here, not as a crash in a mapped write."""
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    del array
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def in_processes(work: Callable[[Task], Result], tasks: Sequence[Task]) -> list[Result]:
    """The results of all tasks, in order, computed by a process a core.

    Args:
        work: of any kind; the processes inherit it.
        tasks: of a kind that pickles.
    """
    workers = min(len(tasks), len(os.sched_getaffinity(0)))
    with ProcessPoolExecutor(workers, multiprocessing.get_context("fork"), _begin, (work,)) as pool:
        return list(pool.map(_do, tasks))


def _begin(work: Callable[[Any], Any]) -> None:
    global _work
    _work = work
    _end_with_parent()


def _do(task: Any) -> Any:
    return _work(task)


def _end_with_parent() -> None:
    """Let a process of the pool end when the making one is killed: waiting for work, it would keep the lock."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
