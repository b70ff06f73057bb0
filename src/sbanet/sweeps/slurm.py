"""`hydra/launcher=slurm`: the jobs of a sweep as jobs of SLURM, each of its tasks a rank.

What is finished or in the queue already is left out, so that the same command submits what is missing. submitit writes
the batch script and starts a Python in each task, which becomes the rank: no parent is left between SLURM and the
training, whose signals and exit code so are its own.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, configure_log
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from sbanet.errors import ConfigError
from sbanet.sweeps.jobs import job_command, launch_arguments, scores_of_finished, task_overrides
from sbanet.sweeps.queue import queue
from sbanet.sweeps.rank import become
from sbanet.sweeps.record import SKIPPED, SUBMITTED, JobRecord, note_job, read_records
from sbanet.training.run_folder import RunFolder

logger = logging.getLogger(__name__)

BASIC_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"

END_TOGETHER = ["--kill-on-bad-exit=1"]
"""Of srun: where one rank fails, the others would wait for it."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job to submit.

    Attributes:
        record: for `sweep.json`.
        command: of each of its tasks.
        parameters: of `hydra.launcher`, resolved.
    """

    record: JobRecord
    command: list[str]
    parameters: dict[str, Any]


def launch(
    hydra: HydraContext, sweep: DictConfig, job_overrides: Sequence[Sequence[str]], first: int
) -> Sequence[JobReturn]:
    """Submit the jobs of a sweep that are neither finished nor in the queue.

    Args:
        hydra: loads configs.
        sweep: the sweep's config, with its node `hydra`.
        job_overrides: of each job.
        first: number of the first one.

    Returns:
        Nothing of worth a job: Hydra's own sweeper asks for no more.

    Raises:
        ConfigError: another sweeper, which waits for scores; resources that are no numbers; SLURM refused the jobs.
    """
    if sweep.hydra.sweeper._target_ != BASIC_SWEEPER:
        raise ConfigError(
            f"hydra/launcher=slurm submits and does not wait, but {sweep.hydra.sweeper._target_} needs each job's "
            "score; run that sweep within one job (sbatch), without the launcher"
        )
    configure_log(sweep.hydra.hydra_logging, sweep.hydra.verbose)
    known, waiting = read_records(Path(sweep.hydra.sweep.dir)), queue() or {}
    jobs = []
    for number, overrides in enumerate(job_overrides, start=first):
        with at_job(hydra.config_loader.load_sweep_config(sweep, list(overrides)), number) as config:
            folder = RunFolder(HydraConfig.get().runtime.output_dir)
            record = JobRecord(
                name=folder.path.name,
                folder=str(folder.path),
                overrides=task_overrides(),
                launch=launch_arguments(),
                status=SUBMITTED,
            )
            before = known.get(record.name)
            if before and before.queued and (place := waiting.get(before.queued)) and not place.ended:
                logger.info("%s: in the queue as %s", record.name, before.queued)
            elif config.resume is True and scores_of_finished(folder, without_hydra(config)) is not None:
                record.status = SKIPPED
                note_job(record)
                logger.info("%s: skipped", record.name)
            else:
                jobs.append(Job(record=record, command=job_command(folder.path), parameters=parameters(config)))
    HydraConfig.instance().set_config(sweep)
    for alike in by_parameters(jobs):
        submit(alike)
    logger.info("what becomes of them: sbanet-sweep status %s", sweep.hydra.sweep.dir)
    return [JobReturn(status=JobStatus.COMPLETED, _return_value=None) for _ in job_overrides]


@contextmanager
def at_job(config: DictConfig, number: int) -> Iterator[DictConfig]:
    """Let `HydraConfig` speak of a job, as it does where Hydra itself runs one."""
    with open_dict(config), read_write(config):
        config.hydra.job.id, config.hydra.job.num = str(number), number
        config.hydra.runtime.output_dir = str(Path(config.hydra.sweep.dir, config.hydra.sweep.subdir).resolve())
    HydraConfig.instance().set_config(config)
    yield config


def without_hydra(config: DictConfig) -> DictConfig:
    """A job's config as its task function sees it."""
    task = copy.deepcopy(config)
    with open_dict(task), read_write(task):
        del task["hydra"]
    return task


def parameters(config: DictConfig) -> dict[str, Any]:
    """What a job asks SLURM for.

    Raises:
        ConfigError: the number of nodes or tasks is none, as `trainer.devices=auto`.
    """
    resolved = OmegaConf.to_container(config.hydra.launcher, resolve=True)
    assert isinstance(resolved, dict)
    for key in ("nodes", "tasks_per_node"):
        if not isinstance(resolved[key], int) or resolved[key] < 1:
            raise ConfigError(
                f"hydra.launcher.{key}={resolved[key]}: expected a whole number of 1 or more; "
                "set trainer.num_nodes and trainer.devices, which it follows"
            )
    return {str(key): value for key, value in resolved.items() if key != "_target_"}


def by_parameters(jobs: Sequence[Job]) -> list[list[Job]]:
    """The jobs that ask for the same, together, in the order of their first ones."""
    groups: list[list[Job]] = []
    for job in jobs:
        group = next((group for group in groups if group[0].parameters == job.parameters), None)
        if group is None:
            groups.append([job])
        else:
            group.append(job)
    return groups


def submit(jobs: Sequence[Job]) -> None:
    """Submit jobs that ask for the same as one array, and note their places in the queue.

    Raises:
        ConfigError: there is no SLURM here, or it refused them, with its words.
    """
    import submitit
    from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf

    asked = dict(jobs[0].parameters)
    folder, timeouts = asked.pop("submitit_folder"), asked.pop("max_num_timeout")
    common = {field.name for field in fields(BaseQueueConf)}  # to all of submitit's executors
    try:
        executor = submitit.AutoExecutor(folder, cluster="slurm", slurm_max_num_timeout=timeouts)
        executor.update_parameters(
            **{key if key in common else f"slurm_{key}": value for key, value in asked.items()},
            slurm_srun_args=END_TOGETHER,
        )
        submitted = executor.map_array(become, [job.command for job in jobs], [job.record.folder for job in jobs])
    except (RuntimeError, OSError) as error:
        raise ConfigError(f"SLURM did not take the jobs: {' '.join(str(error).split())}") from error
    for job, place in zip(jobs, submitted, strict=True):
        job.record.queued = place.job_id
        note_job(job.record)
        logger.info("%s: submitted as %s", job.record.name, place.job_id)
