"""What `notebooks/tour.ipynb` needs beside the library: a trained model, scenes with sentences, the answers to them."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path

import numpy as np
from hydra.utils import instantiate
from PIL import Image

from sbanet.config import compose
from sbanet.data.datamodules import ReferringDataModule
from sbanet.data.records import Record
from sbanet.evaluation import evaluation_config
from sbanet.inference import predict_each, read_checkpoint
from sbanet.models.segmenter import ReferringSegmenter
from sbanet.running import train
from sbanet.scores import ious

VARIABLE = "SBANET_TOUR_CKPT"
"""The environment variable that names a checkpoint for the tour."""

EXPERIMENT = "aeroscenes_tour"
"""What is trained where there is no checkpoint yet."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """An image and all that is said about it.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        records: one a sentence.
        targets: (H, W) bool, one a sentence.
    """

    image: np.ndarray
    records: tuple[Record, ...]
    targets: tuple[np.ndarray, ...]

    @property
    def objects(self) -> int:
        """How many different objects the sentences mean."""
        return len({record.instance for record in self.records})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A model's answer to one sentence about a scene.

    Attributes:
        scene: what was shown.
        record: whose sentence was asked.
        target: (H, W) bool.
        mask: (H, W) bool, the answer.
    """

    scene: Scene
    record: Record
    target: np.ndarray
    mask: np.ndarray

    @property
    def iou(self) -> float:
        """Of the answer and the target, at the image's own size."""
        both, either = self.target & self.mask, self.target | self.mask
        return float(ious([int(both.sum())], [int(either.sum())])[0])


def checkpoint(root: Path, overrides: Sequence[str] = ()) -> Path:
    """A trained model: the one that `SBANET_TOUR_CKPT` names, else that of `make demo`, else one trained now.

    Args:
        root: the folder that holds `runs/`.
        overrides: of the experiment that is trained.

    Raises:
        ConfigError: the run that was begun here before had another config.
    """
    if named := os.environ.get(VARIABLE):
        return Path(named)
    demo = root / "runs" / "demo" / "sbanet" / "checkpoints" / "best.ckpt"
    if demo.is_file():
        return demo
    cfg = compose("train", [f"experiment={EXPERIMENT}", *overrides])
    cfg.paths.run = str(root / "runs" / EXPERIMENT / "default")
    logger.info("no trained model yet: training %s in %s", EXPERIMENT, cfg.paths.run)
    train(cfg)  # which leaves a run that has finished as it is
    return Path(cfg.paths.run, "checkpoints", "best.ckpt")


def scenes(ckpt: Path, model: ReferringSegmenter, count: int, split: str = "val") -> list[Scene]:
    """The first scenes of the dataset that a checkpoint was trained on; drawn first where the cache lacks them.

    Args:
        ckpt: the checkpoint.
        model: loaded from it.
        count: scenes at most.
        split: of the dataset.

    Raises:
        CheckpointError: the checkpoint cannot be used.
        DataError: there is no such split, or its data are missing.
    """
    cfg = evaluation_config(read_checkpoint(ckpt)["sbanet"]["config"], [])
    datamodule: ReferringDataModule = instantiate(cfg.data, tokenizer=model.text_encoder.tokenizer)
    dataset = datamodule.samples(split).dataset
    found = groupby(dataset.records, key=lambda record: record.image)
    grouped = [tuple(records) for _, records in islice(found, count)]
    return [
        Scene(
            image=np.array(dataset.image(records[0])),
            records=records,
            targets=tuple(np.array(dataset.mask(record)) for record in records),
        )
        for records in grouped
    ]


def answers(model: ReferringSegmenter, scene: Scene) -> list[Answer]:
    """The model's answer to each sentence of a scene."""
    predictions = predict_each(model, scene.image, [record.expression for record in scene.records])
    return [
        Answer(scene=scene, record=record, target=target, mask=prediction.mask)
        for record, target, prediction in zip(scene.records, scene.targets, predictions, strict=True)
    ]


def shown(picture: np.ndarray) -> Image.Image:
    """A picture (H, W, 3) uint8 RGB as a notebook shows it: with a palette, half the size."""
    return Image.fromarray(picture).quantize(256, dither=Image.Dither.NONE)
