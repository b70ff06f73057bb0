"""Writes what a model answered, sample by sample: the table that all analysis reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import lightning as L
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from lightning.pytorch.callbacks import Callback
from pycocotools import mask as coco_mask

from sbanet.data.batching import Samples
from sbanet.data.datamodules import ReferringDataModule
from sbanet.data.records import Batch, Record
from sbanet.files import image_file_name, write_atomically
from sbanet.training.module import PROTOCOLS, EvalOutput


class PredictionTable(Callback):
    """Writes `predictions/<name>.parquet`, one row an (image, expression), and thumbnails of some images.

    Args:
        folder: the run's folder of predictions.
        name: of the file: the split, with the condition behind it where it is not the plain one.
        thumbnails: images to keep beside the table, spread evenly over the split.
    """

    def __init__(self, folder: str | Path, *, name: str = "test", thumbnails: int = 150) -> None:
        self.folder = Path(folder)
        self.name = name
        self.thumbnails = thumbnails
        self.rows: list[dict[str, Any]] = []

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / f"{self.name}.parquet"

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Forget an earlier test."""
        self.rows = []

    def on_test_batch_end(  # type: ignore[override]
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: EvalOutput,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Note the batch's rows on its rank."""
        targets = batch.native_targets or list(batch.target)
        for position, record in enumerate(batch.records):
            target, prediction = targets[position].cpu().numpy(), outputs.predictions[position].cpu().numpy()
            counts = {}
            for protocol in PROTOCOLS:
                counts[f"{protocol}_I"] = int(outputs.intersections[protocol][position])
                counts[f"{protocol}_U"] = int(outputs.unions[protocol][position])
            self.rows.append(self._row(trainer, record, target, prediction) | counts)

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Put the ranks together and write, on rank 0."""
        rows = gather_rows(self.rows)
        if trainer.is_global_zero:
            samples = tested_samples(trainer)
            order = {record.sample_id: position for position, record in enumerate(samples.records)}
            rows.sort(key=lambda row: order[row["sample_id"]])
            sink = pa.BufferOutputStream()
            pq.write_table(pa.Table.from_pylist(rows), sink)
            write_atomically(self.path, sink.getvalue().to_pybytes())
            self._write_thumbnails(samples)

    def _row(self, trainer: L.Trainer, record: Record, target: np.ndarray, prediction: np.ndarray) -> dict[str, Any]:
        return {
            "sample_id": record.sample_id,
            "image": record.image,
            "expression": record.expression,
            "category": record.category,
            "tags": list(record.tags),
            "split": record.split,
            "dataset": trainer.datamodule.name,  # type: ignore[attr-defined]
            "height": target.shape[0],
            "width": target.shape[1],
            "target_pixels": int(target.sum()),
            "target_rle": encode_rle(target),
            "prediction_rle": encode_rle(prediction),
        }

    def _write_thumbnails(self, samples: Samples) -> None:
        step = max(1, len(samples) // max(1, self.thumbnails))
        for record in samples.records[::step]:
            path = self.folder / "images" / f"{image_file_name(record.image)}.jpg"
            if not path.exists():
                pixels = cv2.cvtColor(samples.dataset.image(record), cv2.COLOR_RGB2BGR)
                write_atomically(path, cv2.imencode(".jpg", pixels)[1].tobytes())


def tested_samples(trainer: L.Trainer) -> Samples:
    """The samples that a running test scores."""
    datamodule: ReferringDataModule = trainer.datamodule  # type: ignore[attr-defined]
    return datamodule.samples(datamodule.test_split)


def encode_rle(mask: np.ndarray) -> str:
    """A (H, W) bool mask as COCO's compressed run lengths."""
    return str(coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"].decode("ascii"))


def gather_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of all ranks, on every rank."""
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return list(rows)
    parts: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(parts, rows)
    return [row for part in parts for row in part]
