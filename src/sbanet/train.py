"""`sbanet-train`: train, keep the best checkpoint, score it on the test split."""

from __future__ import annotations

import logging
from typing import Any

import lightning as L
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from sbanet.config import program, require_sound
from sbanet.training.complexity import count_multiply_adds, count_parameters
from sbanet.training.module import ReferringSegmentation
from sbanet.training.predictions import PredictionTable
from sbanet.training.run_folder import RunFolder
from sbanet.training.throughput import Throughput

logger = logging.getLogger(__name__)


@program("train")
def main(cfg: DictConfig) -> float | None:
    """Run one job; the value is the best validation score, for Hydra's sweepers."""
    metrics = train(cfg)
    return metrics.get("val/mIoU")


def train(cfg: DictConfig) -> dict[str, float]:
    """Train by a config.

    Returns:
        The metrics of the last validation and, if `cfg.test`, of the best checkpoint on the test split.
    """
    require_sound(cfg)
    L.seed_everything(cfg.seed, workers=True, verbose=False)
    config = plain(cfg)

    model = instantiate(cfg.model)
    datamodule: L.LightningDataModule = instantiate(cfg.data, tokenizer=model.text_encoder.tokenizer)
    task = ReferringSegmentation(
        model=model, loss=instantiate(cfg.loss), optim=instantiate(cfg.optim), seed=cfg.seed, config=config
    )
    folder = RunFolder(cfg.paths.run)
    throughput = Throughput()
    callbacks = [*instantiate(cfg.callbacks).values(), throughput, PredictionTable(folder.predictions)]
    trainer: L.Trainer = instantiate(
        cfg.trainer,
        callbacks=callbacks,
        logger=[*instantiate(cfg.logger).values()],
        default_root_dir=str(folder.path),
    )
    datamodule.prepare_data()
    parameters = count_parameters(model)
    multiply_adds = count_multiply_adds(model, image_size=cfg.data.image_size)
    logger.info("%.1f M parameters, %.2f G multiply-adds", parameters / 1e6, multiply_adds / 1e9)
    if trainer.is_global_zero:
        folder.start(
            config,
            experiment=cfg.name,
            dataset={"name": datamodule.name, "fingerprint": datamodule.fingerprint()},
            seed=cfg.seed,
            parameters=parameters,
            multiply_adds=multiply_adds,
        )
    trainer.fit(task, datamodule=datamodule)
    metrics = dict(trainer.callback_metrics)
    if cfg.test:
        trainer.test(task, datamodule=datamodule, ckpt_path="best", weights_only=True, verbose=False)
        metrics |= trainer.callback_metrics
    scores = {name: float(value) for name, value in metrics.items()}
    if trainer.is_global_zero:
        folder.finish("finished", scores=scores, train_images_per_second=throughput.images_per_second)
    return scores


def plain(cfg: DictConfig) -> dict[str, Any]:
    """The resolved config as plain containers, without what only Hydra knows."""
    container = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


if __name__ == "__main__":
    main()
