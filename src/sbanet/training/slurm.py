"""A run that is a job of SLURM: who its ranks are, and its way back into the queue.

SLURM warns a job by a signal before its time is up (`--signal=USR2@120`); the run saves, and then has to be queued once
more. Lightning would do that by itself, submitit as well, and some sites' scripts: here one of them does, as
`slurm.requeue_after` says. Of a job that is preempted, or cancelled, SLURM itself decides (SIGTERM).
"""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import lightning as L
from lightning.fabric.plugins.environments import LightningEnvironment, SLURMEnvironment
from lightning.pytorch.plugins.environments import ClusterEnvironment
from omegaconf import DictConfig

from sbanet.errors import ConfigError
from sbanet.training.checkpoints import RunCheckpoints
from sbanet.training.signals import RUN_AGAIN, signals_named

logger = logging.getLogger(__name__)

SECONDS_TO_REQUEUE = 60


def job_id(environment: Mapping[str, str] = os.environ) -> str | None:
    """The name of this process's job in SLURM's commands: `17`, of an array `17_3`; None outside of one."""
    if array := environment.get("SLURM_ARRAY_JOB_ID"):
        return f"{array}_{environment['SLURM_ARRAY_TASK_ID']}"
    return environment.get("SLURM_JOB_ID")


def cluster_environment(trainer: DictConfig, environment: Mapping[str, str] = os.environ) -> ClusterEnvironment | None:
    """Who tells the ranks of each other in a job of SLURM.

    Args:
        trainer: the config's node.
        environment: the variables of the process.

    Returns:
        SLURM, where srun started a task a rank; Lightning, where it has to start them itself, as in a batch script
        without srun; None outside of a job, and where torchrun tells them.

    Raises:
        ConfigError: srun started another number of tasks; ranks would wait for those that never come.
    """
    if job_id(environment) is None or "TORCHELASTIC_RUN_ID" in environment:
        return None
    tasks = int(environment.get("SLURM_STEP_NUM_TASKS", 1))
    devices, nodes = number(trainer.devices), int(trainer.num_nodes)
    if "SLURM_STEP_ID" not in environment or (tasks == 1 and nodes == 1):
        return LightningEnvironment()
    per_node = environment.get("SLURM_NTASKS_PER_NODE")
    if devices is not None and (tasks != devices * nodes or (per_node is not None and int(per_node) != devices)):
        raise ConfigError(
            f"srun started {tasks} tasks, and the trainer expects {devices} on each of {nodes} nodes "
            "(trainer.devices, trainer.num_nodes); "
            f"ask for --nodes={nodes} --ntasks-per-node={devices}, or change the trainer"
        )
    if per_node is None:
        raise ConfigError(
            f"srun started {tasks} tasks without --ntasks-per-node; ask for it (and not for --ntasks), "
            "with the number of trainer.devices"
        )
    return SLURMEnvironment(auto_requeue=False)


def number(devices: object) -> int | None:
    """How many devices a node is asked for; None where that is for the machine to say (`auto`, -1)."""
    if isinstance(devices, int):
        return devices if devices > 0 else None
    return len(devices) if isinstance(devices, Sequence) and not isinstance(devices, str) else None


@contextmanager
def going_back(trainer: L.Trainer, after: Sequence[str]) -> Iterator[None]:
    """Queue this process's job again once the block, and with it the run, was stopped by a warning of the cluster.

    A start that has not trained a step is not repeated: the next one would come no further.

    Args:
        trainer: of the run.
        after: the names of the signals that are such warnings.

    Raises:
        ConfigError: an unknown signal.
    """
    warnings = signals_named(after, "slurm.requeue_after")
    try:
        yield
    except SystemExit as stop:
        checkpoints, job = trainer.checkpoint_callback, job_id()
        if stop.code != RUN_AGAIN or job is None or not trainer.is_global_zero:
            raise
        if isinstance(checkpoints, RunCheckpoints) and checkpoints.signals.received in warnings:
            if checkpoints.trained_any:
                requeue(job)
            else:
                logger.error("job %s is not queued again: its time was up before a step was trained", job)
        raise


def requeue(job: str) -> None:
    """Put a job of SLURM back into the queue, to the same command and resources."""
    try:
        done = subprocess.run(
            ["scontrol", "requeue", job], capture_output=True, text=True, timeout=SECONDS_TO_REQUEUE, check=False
        )
        said = done.stderr.strip() if done.returncode else None
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    if said is None:
        logger.info("job %s is queued again", job)
    else:
        logger.error("job %s could not be queued again (%s); submit its command once more", job, said)
