"""A training run: build what the config names, train it, keep the best checkpoint, score that on the test split."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import lightning as L
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from sbanet.config import require_sound
from sbanet.data.datamodules import ReferringDataModule
from sbanet.resuming import continue_from
from sbanet.training.agreement import AgreeingRanks
from sbanet.training.complexity import count_multiply_adds, count_parameters
from sbanet.training.module import ReferringSegmentation
from sbanet.training.predictions import PredictionTable
from sbanet.training.run_folder import RunFolder
from sbanet.training.run_id import changes
from sbanet.training.signals import RUN_AGAIN
from sbanet.training.slurm import going_back, job_id
from sbanet.training.throughput import Throughput
from sbanet.training.trainer import build_trainer
from sbanet.training.wandb_logger import WandbRows, closing, wandb_runs

logger = logging.getLogger(__name__)


def train(cfg: DictConfig) -> dict[str, float]:
    """Train by a config; a run that has finished is left as it is.

    Returns:
        The metrics of the last validation, the best value of the one that selects, and, if `cfg.test`, the metrics
        of the best checkpoint on the test split.

    Raises:
        ConfigError: the config has mistakes, does not fit this machine, or is not that of the folder's run.
    """
    require_sound(cfg)
    L.seed_everything(cfg.seed, workers=True, verbose=False)
    config = plain(cfg)

    model = instantiate(cfg.model)
    datamodule: ReferringDataModule = instantiate(cfg.data, **model.input_format())
    task = ReferringSegmentation(
        model=model, loss=instantiate(cfg.loss), optim=instantiate(cfg.optim), seed=cfg.seed, config=config
    )
    folder = RunFolder(cfg.paths.run)
    throughput = Throughput()
    table = PredictionTable(folder.predictions)
    callbacks = [AgreeingRanks(config), WandbRows(), *built(cfg.callbacks), throughput, table]
    trainer = build_trainer(
        cfg.trainer, callbacks=callbacks, logger=built(cfg.logger), default_root_dir=str(folder.path)
    )
    datamodule.prepare_data()
    datamodule.require_sound()
    dataset = {"name": datamodule.name, "fingerprint": datamodule.fingerprint()}
    if cfg.resume and (scores := folder.scores_of_finished(config, dataset)) is not None:
        logger.info("%s has finished; resume=false trains it anew", folder.path)
        return scores
    parameters = count_parameters(model)
    multiply_adds = count_multiply_adds(model, image_size=cfg.data.image_size)
    logger.info("%.1f M parameters, %.2f G multiply-adds", parameters / 1e6, multiply_adds / 1e9)
    identity = folder.path.name
    facts = folder.start(
        config,
        experiment=cfg.name,
        name=cfg.name if identity == "default" else f"{cfg.name} {identity}",
        run_id=identity,
        dataset=dataset,
        seed=cfg.seed,
        parameters=parameters,
        multiply_adds=multiply_adds,
        resume=cfg.resume,
        slurm_job=job_id(),
        **command_line(),
    )
    runs = wandb_runs(trainer.loggers)
    with going_back(trainer, cfg.slurm.requeue_after), closing(runs), failure_noted(folder):
        last = continue_from(folder, trainer, config, cfg.resume)
        for run in runs:
            run.begin(facts, folder.metrics)
        trainer.fit(task, datamodule=datamodule, ckpt_path=last, weights_only=True)
        scores = task.measured() | best_score(trainer)
        if cfg.test:
            best = best_checkpoint(trainer)
            if best is None:
                logger.warning("no checkpoint was selected by a validation: the test scores the last weights")
            trainer.test(task, datamodule=datamodule, ckpt_path=best, weights_only=True, verbose=False)
            scores |= numbers(trainer.callback_metrics)
            for run in runs:
                run.log_test_samples(table.path)
        folder.finish("finished", scores=scores, train_images_per_second=throughput.images_per_second)
        for run in runs:
            run.end(0, scores, best=best_checkpoint(trainer))
    return scores


@contextmanager
def failure_noted(folder: RunFolder) -> Iterator[None]:
    """Note in `run.json` that the run ended by an error, or was ended from outside.

    Raises:
        SystemExit: with `RUN_AGAIN`, where it was ended from outside.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as stop:
        folder.finish("interrupted", error=f"{type(stop).__name__}: {stop}")
        # Lightning makes an exit without a code of a SIGTERM during a test
        raise SystemExit(0 if stop.args == (0,) else RUN_AGAIN) from stop
    except BaseException as error:
        with suppress(OSError):  # where the disk is full, which then is the error
            folder.finish("failed", error=f"{type(error).__name__}: {error}")
        raise


def best_score(trainer: L.Trainer) -> dict[str, float]:
    """The best value of the metric that selects the checkpoint, as `best/val/mIoU`; nothing where none selects."""
    selecting = trainer.checkpoint_callback
    score = getattr(selecting, "best_model_score", None)
    return {} if score is None else {f"best/{getattr(selecting, 'monitor', '')}": float(score)}


def best_checkpoint(trainer: L.Trainer) -> Path | None:
    """The file of the best checkpoint; None where none is kept."""
    best = getattr(trainer.checkpoint_callback, "best_model_path", "")
    return Path(best) if best else None


def command_line() -> dict[str, Any]:
    """What Hydra knows of the run beyond its config; empty where it was not Hydra that called."""
    if not HydraConfig.initialized():
        return {"changes": "", "choices": {}}
    hydra = HydraConfig.get()
    choices = OmegaConf.to_container(hydra.runtime.choices)
    assert isinstance(choices, dict)
    groups = {group: choice for group, choice in choices.items() if not str(group).startswith("hydra/")}
    return {"changes": changes(hydra.overrides.task), "choices": groups}


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Metrics as Python's own numbers."""
    return {name: float(value) for name, value in metrics.items()}


def built(nodes: DictConfig) -> list[Any]:
    """The objects of a group of named nodes; a node set to null is left out."""
    return [node for node in instantiate(nodes).values() if node is not None]


def plain(cfg: DictConfig) -> dict[str, Any]:
    """The resolved config as plain containers, without what only Hydra knows."""
    container = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}
