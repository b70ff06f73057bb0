"""`sbanet-train -m`: what Hydra calls a job becomes a `sbanet-train` of its own.

Lightning starts the ranks of a run by repeating its command line. Under `-m` that is the whole sweep once more, so
ranks would disagree on which job they are in. Here the process that Hydra sweeps in trains nothing: it starts each
job as a fresh process tree in RUN mode, with that job's overrides and folder, and notes how it ended. No job sees
another's ranks, memory, seeds or loggers, and the failure of one is a row in the table.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from sbanet.config.arguments import guess_arguments
from sbanet.errors import ConfigError
from sbanet.sweeps.jobs import job_command, launch_arguments, scores_of_finished, task_overrides
from sbanet.sweeps.process_tree import ProcessTree
from sbanet.sweeps.record import (
    FAILED,
    FINISHED,
    INTERRUPTED,
    RUNNING,
    SKIPPED,
    JobRecord,
    first_error,
    job_lock,
    note_job,
)
from sbanet.sweeps.shares import share, visible_gpus
from sbanet.training.run_folder import RunFolder

logger = logging.getLogger(__name__)

POLL = 0.2
"""Seconds between two looks at the jobs that run."""


def in_multirun() -> bool:
    """Whether this task was called by a sweep."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def is_a_further_rank(argv: Sequence[str]) -> bool:
    """Whether torchrun started this process beside the one that runs the sweep.

    Raises:
        ConfigError: torchrun spans several nodes, where one process cannot start the ranks of all.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ or not guess_arguments(argv).multirun:
        return False
    if os.environ["WORLD_SIZE"] != os.environ["LOCAL_WORLD_SIZE"]:
        raise ConfigError(
            f"torchrun on {os.environ['GROUP_WORLD_SIZE']} nodes was given a sweep (-m); start one torchrun a job, "
            "without -m, or the sweep by a launcher of the cluster"
        )
    return os.environ["RANK"] != "0"


@dataclass
class _Running:
    record: JobRecord
    folder: RunFolder
    slot: int
    tree: ProcessTree
    lock: FileLock
    log_offset: int
    began: float = field(default_factory=time.monotonic)


class Jobs:
    """The jobs of one sweep, in the order in which Hydra asks for them."""

    def __init__(self) -> None:
        self.records: list[JobRecord] = []
        self._running: list[_Running] = []

    def run(self, cfg: DictConfig) -> dict[str, float]:
        """Start the job that Hydra is at, as soon as there is room for it.

        Args:
            cfg: the job's config.

        Returns:
            Its scores; empty if it failed, or goes on beside others.
        """
        folder = RunFolder(HydraConfig.get().runtime.output_dir)
        record = JobRecord(
            name=folder.path.name, folder=str(folder.path), overrides=task_overrides(), launch=launch_arguments()
        )
        # decided here, once, for all ranks
        if cfg.resume is True and (scores := scores_of_finished(folder, cfg)) is not None:
            self._note(record, SKIPPED)
            return scores
        parallel = places(cfg.sweep.parallel)
        with heeding_sigterm():
            self._wait(until_fewer_than=parallel)
            slot = min(set(range(parallel)) - {job.slot for job in self._running})
            self._start(record, folder, slot, cfg)
            if parallel == 1:
                self._wait(until_fewer_than=1)
        return dict((folder.facts or {}).get("scores") or {}) if record.status == FINISHED else {}

    def finish(self) -> list[JobRecord]:
        """Wait for the last ones.

        Returns:
            What became of all jobs.
        """
        with stopping(self), heeding_sigterm():
            self._wait(until_fewer_than=1)
        return self.records

    def stop(self) -> None:
        """End all that runs."""
        for job in self._running:
            job.tree.stop()
            self._note(job.record, INTERRUPTED, seconds=time.monotonic() - job.began, error="the sweep was stopped")
        self._running.clear()

    def _start(self, record: JobRecord, folder: RunFolder, slot: int, cfg: DictConfig) -> None:
        lock = job_lock(folder.path)
        try:
            lock.acquire()
        except Timeout:
            self._note(record, FAILED, error="another process runs it now; wait for that one, or stop it")
            return
        processes = cfg.trainer.devices if isinstance(cfg.trainer.devices, int) else 1
        devices = visible_gpus() if places(cfg.sweep.parallel) > 1 and cfg.trainer.accelerator != "cpu" else []
        log_offset = record.log.stat().st_size if record.log.exists() else 0
        tree = ProcessTree(
            job_command(folder.path),
            log=record.log,
            environment=share(slot, places(cfg.sweep.parallel), processes=max(1, processes), devices=devices),
        )
        logger.info("%s: started; its output is in %s", record.name, record.log)
        self.records.append(record)
        self._running.append(_Running(record, folder, slot, tree, lock, log_offset))
        note_job(record)

    def _wait(self, *, until_fewer_than: int) -> None:
        while True:
            for job in list(self._running):
                code = job.tree.poll()
                if code is not None:
                    self._running.remove(job)
                    job.lock.release()
                    status, error = outcome(code, job.folder, first_error(job.record.log, job.log_offset))
                    self._note(job.record, status, seconds=time.monotonic() - job.began, error=error)
            if len(self._running) < until_fewer_than:
                return
            time.sleep(POLL)

    def _note(self, record: JobRecord, status: str, *, seconds: float = 0.0, error: str | None = None) -> None:
        if record not in self.records:
            self.records.append(record)
        record.status, record.seconds, record.error = status, round(seconds, 1), error
        note_job(record)
        level = logging.ERROR if status == FAILED else logging.INFO
        logger.log(level, "%s: %s%s", record.name, status, f" ({error})" if error else "")


def places(parallel: Any) -> int:
    """How many jobs may run side by side.

    Raises:
        ConfigError: that is no number of them.
    """
    if not isinstance(parallel, int) or parallel < 1:
        raise ConfigError(f"sweep.parallel={parallel}: expected a whole number of 1 or more")
    return parallel


def outcome(code: int, folder: RunFolder, error: str) -> tuple[str, str | None]:
    """How a job ended, and why if not well; the run's own `run.json` is mended where it could not say so itself.

    Args:
        code: its exit code; negative = ended by that signal.
        folder: of its run.
        error: what its output says of it.
    """
    facts = folder.facts or {}
    status = facts.get("status")
    if code == 0:
        return FINISHED, None
    how = f"exit code {code}" if code > 0 else f"ended by {signal.Signals(-code).name}"
    if status == INTERRUPTED:
        return INTERRUPTED, how
    if status == RUNNING:  # it was killed, so it is said for it
        folder.finish(FAILED, error=f"{how}; {error}")
    return FAILED, f"{how}; {error}"


@contextmanager
def stopping(jobs: Jobs) -> Iterator[None]:
    """Where Ctrl-C or an error ends the block, and so the sweep, the jobs that run are stopped first."""
    try:
        yield
    except BaseException:
        jobs.stop()
        raise


@contextmanager
def heeding_sigterm() -> Iterator[None]:
    """Make a SIGTERM an exit, as Ctrl-C is one; only while waiting, since training has a handler of its own."""

    def leave(number: int, _: Any) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
