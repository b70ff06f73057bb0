"""The samples of a picture grid in Weights & Biases: masks as layers that a reader switches on and off."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from lightning.pytorch.loggers import Logger, WandbLogger

KEY = "val/samples"
LABELS = {0: "background", 1: "referent"}

logger = logging.getLogger(__name__)


class Shown(Protocol):
    """What a sample must have to be shown."""

    @property
    def image(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""

    @property
    def target(self) -> np.ndarray:
        """(H, W) bool."""

    @property
    def prediction(self) -> np.ndarray:
        """(H, W) bool."""

    @property
    def expression(self) -> str:
        """The sentence that was asked."""

    @property
    def iou(self) -> float:
        """Of prediction and target."""


def log_samples(loggers: Sequence[Logger], samples: Sequence[Shown], step: int) -> None:
    """Show samples in every W&B run among the loggers; what goes wrong there is a warning, never the run's end.

    Args:
        loggers: of any kind.
        samples: of one validation.
        step: where they stand on the axis `trainer/global_step`.
    """
    for run in loggers:
        if isinstance(run, WandbLogger):
            try:
                run.log_image(
                    KEY,
                    [sample.image for sample in samples],
                    step=step,
                    caption=[f"IoU {sample.iou:.2f}: {sample.expression}" for sample in samples],
                    masks=[_layers(sample) for sample in samples],
                )
            except Exception as error:  # of any kind: a full disk, a lost connection, another release of wandb
                logger.warning("W&B did not take the pictures of step %d (%s: %s)", step, type(error).__name__, error)


def _layers(sample: Shown) -> dict[str, dict[str, object]]:
    masks = {"target": sample.target, "prediction": sample.prediction}
    return {name: {"mask_data": mask.astype(np.uint8), "class_labels": LABELS} for name, mask in masks.items()}
