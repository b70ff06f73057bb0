"""A grid of validation samples an epoch: to see what a model has learned, and what not yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import lightning as L
import numpy as np
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from sbanet.data.records import Batch
from sbanet.drawing import caption, grid, overlay
from sbanet.files import write_atomically
from sbanet.scores import ious
from sbanet.training.wandb_samples import log_samples

TILE = 288
"""Longer side of an image in the grid, in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedSample:
    """One sample of a grid.

    Attributes:
        image: (H, W, 3) uint8 RGB at the network's size.
        target: (H, W) bool.
        prediction: (H, W) bool.
        expression: the sentence that was asked.
    """

    image: np.ndarray
    target: np.ndarray
    prediction: np.ndarray
    expression: str

    @property
    def iou(self) -> float:
        """Intersection over union at the network's size, 0 where both masks are empty."""
        both, either = self.target & self.prediction, self.target | self.prediction
        return float(ious([int(both.sum())], [int(either.sum())])[0])


class _Scored(Protocol):
    """What a validation step hands over, as far as pictures need it."""

    @property
    def logits(self) -> Tensor:
        """(B, H, W), positive = referred."""


class PredictionPictures(Callback):
    """Writes `epoch_003.png` after the validation of epoch 3; epochs count from 0, as in `metrics.csv`.

    The samples are the first ones that the first rank validates: the same in each epoch. A run that is logged to
    Weights & Biases shows them there too, as `val/samples`.

    Args:
        dirpath: the folder of the pictures.
        count: number of samples.
        every_n_epochs: epochs from one picture to the next.
        columns: samples side by side.

    Raises:
        ValueError: a number below 1.
    """

    def __init__(self, dirpath: str, count: int = 8, every_n_epochs: int = 1, columns: int = 2) -> None:
        given = {"count": count, "every_n_epochs": every_n_epochs, "columns": columns}
        for name, value in given.items():
            if value < 1:
                raise ValueError(f"callbacks.pictures.{name}: got {value}, expected at least 1")
        self.dirpath = Path(dirpath)
        self.count = count
        self.every_n_epochs = every_n_epochs
        self.columns = columns
        self._samples: list[PredictedSample] = []

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin a grid."""
        self._samples = []

    def on_validation_batch_end(  # type: ignore[override]
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: _Scored,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the batch's samples while the grid has room."""
        wanted = self.count - len(self._samples)
        if wanted > 0 and self._is_due(trainer):
            data = trainer.datamodule  # type: ignore[attr-defined]
            self._samples += predicted_samples(batch, outputs.logits, data.mean, data.std, wanted)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the grid, and show its samples in W&B where the run is logged there."""
        if self._samples:
            picture = cv2.cvtColor(prediction_grid(self._samples, self.columns), cv2.COLOR_RGB2BGR)
            path = self.dirpath / f"epoch_{trainer.current_epoch:03d}.png"
            write_atomically(path, cv2.imencode(".png", picture)[1].tobytes())
            # where Lightning puts the scores of the same validation: at the last step that was done, counted from 0
            log_samples(trainer.loggers, self._samples, step=trainer.global_step - 1)

    def _is_due(self, trainer: L.Trainer) -> bool:
        fitting = trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking
        return trainer.is_global_zero and fitting and trainer.current_epoch % self.every_n_epochs == 0


def predicted_samples(
    batch: Batch, logits: Tensor, mean: Sequence[float], std: Sequence[float], count: int
) -> list[PredictedSample]:
    """The first samples of a batch as a person sees them.

    Args:
        batch: at the network's size.
        logits: (B, H, W), positive = referred.
        mean: of red, green and blue, as they were subtracted from values in [0, 1].
        std: what they were divided by.
        count: samples at most.
    """
    pixels = batch.image[batch.image_of_row()[:count]].detach().float().cpu().permute(0, 2, 3, 1).numpy()
    images = np.clip(255 * (pixels * np.array(std) + np.array(mean)), 0, 255).round().astype(np.uint8)
    targets = batch.target[:count].cpu().numpy()
    predictions = (logits[:count].detach() > 0).cpu().numpy()
    return [
        PredictedSample(image=image, target=target, prediction=prediction, expression=record.expression)
        for image, target, prediction, record in zip(images, targets, predictions, batch.records[:count], strict=True)
    ]


def prediction_grid(samples: Sequence[PredictedSample], columns: int = 2) -> np.ndarray:
    """Samples in rows: each the image with the target, the image with the prediction, the sentence below.

    Args:
        samples: at least one.
        columns: samples side by side.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: no samples.
    """
    if not samples:
        raise ValueError("samples: got none, expected at least one")
    return grid([_tile(sample) for sample in samples], columns)


def _tile(sample: PredictedSample) -> np.ndarray:
    """One sample, with its sentence below."""
    asked = overlay(sample.image, sample.target, size=TILE)
    answered = overlay(sample.image, prediction=sample.prediction, size=TILE)
    pair = np.concatenate([asked, answered], axis=1)
    text = caption(f"IoU {sample.iou:.2f}: {sample.expression}", pair.shape[1])
    return np.concatenate([pair, text], axis=0)
