"""`hydra/launcher=slurm`: the jobs of a sweep as jobs of SLURM, each of its tasks a rank.

What is finished or in the queue already is left out, so that the same command submits what is missing. submitit writes
the batch script and starts a Python in each task, which becomes the rank: no parent is left between SLURM and the
training, whose signals and exit code so are its own.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, configure_log
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from sbanet.errors import ConfigError
from sbanet.sweeps.jobs import job_command, launch_arguments, scores_of_finished, task_overrides
from sbanet.sweeps.rank import become
from sbanet.sweeps.record import RUNNING, SKIPPED, SUBMITTED, WAITING, JobRecord, note_job, read_records
from sbanet.sweeps.standing import standings
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
        finished: there is nothing to do.
    """

    record: JobRecord
    command: list[str]
    parameters: dict[str, Any]
    finished: bool = False


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
    known = read_records(Path(sweep.hydra.sweep.dir))
    now = dict(zip(known, standings(list(known.values())), strict=True))
    missing = []
    for number, overrides in enumerate(job_overrides, start=first):
        job = job_of(hydra.config_loader.load_sweep_config(sweep, list(overrides)), number)
        name = job.record.name
        if name in now and now[name].status in (WAITING, RUNNING):
            logger.info("%s: %s as %s", name, now[name].status, known[name].queued or "a process of this machine")
        elif job.finished:
            job.record.status = SKIPPED
            note_job(job.record)
            logger.info("%s: skipped", name)
        else:
            missing.append(job)
    HydraConfig.instance().set_config(sweep)
    for alike in by_parameters(missing):
        submit(alike)
    logger.info("what becomes of them: sbanet-sweep status %s", sweep.hydra.sweep.dir)
    return [JobReturn(status=JobStatus.COMPLETED, _return_value=None) for _ in job_overrides]


def job_of(config: DictConfig, number: int) -> Job:
    """A job of the sweep by its config, as `HydraConfig` speaks of it from here on.

    Args:
        config: with its node `hydra`.
        number: of the job in the sweep.

    Raises:
        ConfigError: resources that are no numbers.
    """
    with open_dict(config), read_write(config):
        config.hydra.job.id, config.hydra.job.num = str(number), number
        config.hydra.runtime.output_dir = str(Path(config.hydra.sweep.dir, config.hydra.sweep.subdir).resolve())
    HydraConfig.instance().set_config(config)
    folder = Path(config.hydra.runtime.output_dir)
    record = JobRecord(
        name=folder.name, folder=str(folder), overrides=task_overrides(), launch=launch_arguments(), status=SUBMITTED
    )
    scores = scores_of_finished(RunFolder(folder), without_hydra(config)) if config.resume is True else None
    return Job(record=record, command=job_command(folder), parameters=parameters(config), finished=scores is not None)


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
