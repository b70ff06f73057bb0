"""`sbanet-train`: train, keep the best checkpoint, score it on the test split."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
import torch
from hydra.utils import instantiate
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from omegaconf import DictConfig, OmegaConf

from sbanet.config import program, require_sound
from sbanet.data.datamodules import ReferringDataModule
from sbanet.inference import read_checkpoint
from sbanet.training.complexity import count_multiply_adds, count_parameters
from sbanet.training.csv_logger import MetricsCSV
from sbanet.training.module import ReferringSegmentation
from sbanet.training.predictions import PredictionTable
from sbanet.training.run_config import differences
from sbanet.training.run_folder import RunFolder
from sbanet.training.run_id import register_resolvers
from sbanet.training.throughput import Throughput
from sbanet.training.trainer import build_trainer

register_resolvers()
logger = logging.getLogger(__name__)

BEST = "best/val/mIoU"
"""What a run is judged by in a sweep."""


@program("train")
def main(cfg: DictConfig) -> float | None:
    """Run one job; the value is the best validation score, for Hydra's sweepers."""
    return train(cfg).get(BEST)


def train(cfg: DictConfig) -> dict[str, float]:
    """Train by a config; a run that has finished is left as it is.

    Returns:
        The metrics of the last validation, the best value of the one that selects, and, if `cfg.test`, the metrics
        of the best checkpoint on the test split.

    Raises:
        ConfigError: the config has mistakes, does not fit this machine, or is not that of the folder's run.
    """
    require_sound(cfg)
    # deterministic mode would also overwrite all fresh memory, to expose reads of it: 7 % of the time for nothing
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    L.seed_everything(cfg.seed, workers=True, verbose=False)
    config = plain(cfg)

    model = instantiate(cfg.model)
    datamodule: ReferringDataModule = instantiate(cfg.data, **model.input_format())
    task = ReferringSegmentation(
        model=model, loss=instantiate(cfg.loss), optim=instantiate(cfg.optim), seed=cfg.seed, config=config
    )
    folder = RunFolder(cfg.paths.run)
    throughput = Throughput()
    callbacks = [*built(cfg.callbacks), throughput, PredictionTable(folder.predictions)]
    trainer = build_trainer(
        cfg.trainer, callbacks=callbacks, logger=built(cfg.logger), default_root_dir=str(folder.path)
    )
    datamodule.prepare_data()
    datamodule.require_sound()
    dataset = {"name": datamodule.name, "fingerprint": datamodule.fingerprint()}
    if cfg.resume and (scores := scores_of_finished(folder, {"config": config, "dataset": dataset})) is not None:
        logger.info("%s has finished; resume=false trains it anew", folder.path)
        return scores
    parameters = count_parameters(model)
    multiply_adds = count_multiply_adds(model, image_size=cfg.data.image_size)
    logger.info("%.1f M parameters, %.2f G multiply-adds", parameters / 1e6, multiply_adds / 1e9)
    identity = folder.path.name
    folder.start(
        config,
        experiment=cfg.name,
        name=cfg.name if identity == "default" else f"{cfg.name} {identity}",
        run_id=identity,
        dataset=dataset,
        seed=cfg.seed,
        parameters=parameters,
        multiply_adds=multiply_adds,
        resume=cfg.resume,
    )
    with failure_noted(folder):
        last = continue_from(folder, trainer, cfg.resume)
        trainer.fit(task, datamodule=datamodule, ckpt_path=last, weights_only=True)
        scores = numbers(trainer.callback_metrics) | best_score(trainer)
        if cfg.test:
            best = "best" if trainer.checkpoint_callback else None
            trainer.test(task, datamodule=datamodule, ckpt_path=best, weights_only=True, verbose=False)
            scores |= numbers(trainer.callback_metrics)
        folder.finish("finished", scores=scores, train_images_per_second=throughput.images_per_second)
    return scores


def scores_of_finished(folder: RunFolder, now: Mapping[str, Any]) -> dict[str, float] | None:
    """The scores of the folder's run if it has finished and is the same; None if there is something to do."""
    facts = folder.facts
    if not facts or facts.get("status") != "finished" or differences(facts, now):
        return None
    return dict(facts["scores"])


@contextmanager
def failure_noted(folder: RunFolder) -> Iterator[None]:
    """Note in `run.json` that the run ended by an error, or was ended from outside."""
    try:
        yield
    except BaseException as error:
        # Lightning makes an exit of Ctrl-C, and so of a SIGTERM
        ended = isinstance(error, KeyboardInterrupt | SystemExit)
        folder.finish("interrupted" if ended else "failed", error=f"{type(error).__name__}: {error}")
        raise


def best_score(trainer: L.Trainer) -> dict[str, float]:
    """The best value of the metric that selects the checkpoint, as `best/val/mIoU`; nothing where none selects."""
    selecting = trainer.checkpoint_callback
    score = getattr(selecting, "best_model_score", None)
    return {} if score is None else {f"best/{getattr(selecting, 'monitor', '')}": float(score)}


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Metrics as Python's own numbers."""
    return {name: float(value) for name, value in metrics.items()}


def continue_from(folder: RunFolder, trainer: L.Trainer, resume: bool | str) -> Path | None:
    """The run's newest checkpoint, None to begin anew; `metrics.csv` is cut back to it."""
    last = folder.checkpoints / "last.ckpt"
    step = 0
    if not resume:
        forget_checkpoints(folder)
    elif last.is_file():
        step = int(read_checkpoint(last)["global_step"])
        logger.info("continuing %s at step %d", last, step)
    for run_logger in trainer.loggers:
        if isinstance(run_logger, MetricsCSV):
            run_logger.cut_back(step - 1)
    return last if step else None


@rank_zero_only
def forget_checkpoints(folder: RunFolder) -> None:
    """Remove those of the run that was here: should this one be killed soon, it must not go on from them."""
    for checkpoint in folder.checkpoints.glob("*.ckpt"):
        checkpoint.unlink()


def built(nodes: DictConfig) -> list[Any]:
    """The objects of a group of named nodes; a node set to null is left out."""
    return [node for node in instantiate(nodes).values() if node is not None]


def plain(cfg: DictConfig) -> dict[str, Any]:
    """The resolved config as plain containers, without what only Hydra knows."""
    container = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


if __name__ == "__main__":
    main()
