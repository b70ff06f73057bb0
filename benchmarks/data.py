"""How fast samples are read, beside the plain way, and whether loader processes keep to their memory.

    python benchmarks/data.py        (or make bench-data)

One process on one core; times are of the processor, so that a busy machine says the same as an idle one, and files
are in the page cache. The ways are measured in turn, several rounds of all of them. The results go to
`benchmarks/results/data.json` and, as a table, `data.md`.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import lightning as L
import numpy as np
import PIL
import torch
from data_table import table
from hydra.utils import instantiate
from machine import machine
from made_data import write_pictures
from peer import Peer
from torch.utils.data import DataLoader

from sbanet.config import compose
from sbanet.console import console
from sbanet.data.datamodules import ReferDataModule
from sbanet.data.sampling import Draw
from sbanet.resizing import resize_image

RESULTS = Path(__file__).parent / "results"
COMMAND = "make bench-data"
SAMPLES = 128
ROUNDS = 7
STAGE_SAMPLES = 64
SIDE = 480
BATCH = 8

Way = Callable[[], Iterable[Any]]


def main() -> None:
    """Measure and write down."""
    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    cores = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "pictures"
        kind = write_pictures(root, SAMPLES + 1)
        files = list((root / "images" / "rrsisd" / "JPEGImages").iterdir())
        data = {
            "images": f"{SAMPLES} {kind}, 800x800 JPEG of {np.mean([f.stat().st_size for f in files]) / 1e3:.0f} kB",
            "masks": "an ellipse each, run lengths",
        }
        os.sched_setaffinity(0, {min(cores)})
        results = speeds(root, Path(folder) / "cache")
        results["stages_ms"] = stages(root)
        os.sched_setaffinity(0, cores)
        program = [sys.executable, Path(__file__).with_name("loader_memory.py")]
        memory = json.loads(subprocess.run(program, stdout=subprocess.PIPE, check=True).stdout)
    versions = {"opencv": cv2.__version__, "pillow": PIL.__version__, "torch": torch.__version__}
    results = {
        **{key: results.pop(key) for key in ("speedup_default", "speedup_pillow", "speedup_cached")},
        "memory_growth": memory.pop("growth"), "command": COMMAND, "machine": machine() | versions, "data": data,
        **results, "memory": memory,
    }  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "data.json").write_text(json.dumps(results, indent=1) + "\n")
    (RESULTS / "data.md").write_text(table(results))
    console().print(table(results))


def module(root: Path, **changes: object) -> ReferDataModule:
    """The training set as a run has it, not augmented."""
    settings = [f"data.root={root}", f"data.image_size={SIDE}", f"data.batch_size={BATCH}", "data.num_workers=0"]
    settings += [f"data.{key}={value}" for key, value in changes.items()]
    cfg = compose("train", ["data=rrsisd", *settings])
    data: ReferDataModule = instantiate(cfg.data, **instantiate(cfg.model).input_format())
    data.trainer = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    return data


def peer(root: Path) -> Peer:
    """The same samples as the plain way reads them."""
    data = module(root)
    referents = [referent for referent in data.referents if referent.split == "train"]
    return Peer(referents, root / data.images, SIDE, data.mean, data.std)


def speeds(root: Path, cache: Path) -> dict[str, Any]:
    """Samples a second of each way, and how many times as many as the plain way each of ours reads."""
    ways: dict[str, Way] = {
        "plain": DataLoader(peer(root), batch_size=BATCH, shuffle=True, drop_last=True).__iter__,
        "default": module(root).train_dataloader().__iter__,
        "pillow": module(root, resize="pillow").train_dataloader().__iter__,
        "cached": module(root, cache=cache).train_dataloader().__iter__,
    }
    for way in ways.values():  # files into the page cache, ours into its own
        list(way())
    rates: dict[str, list[float]] = {name: [] for name in ways}
    walls: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            wall, began = time.perf_counter(), time.process_time()
            samples = sum(BATCH for _ in way())
            rates[name].append(samples / (time.process_time() - began))
            walls[name].append(samples / (time.perf_counter() - wall))
    ours = [name for name in ways if name != "plain"]
    return {
        **{f"speedup_{name}": _ratio(rates, name) for name in ours},
        "wall_clock": {f"speedup_{name}": _ratio(walls, name) for name in ours},
        "samples_per_second": {
            name: {"median": round(median(of), 1), "least": round(min(of), 1), "most": round(max(of), 1)}
            for name, of in rates.items()
        },
        "rounds": ROUNDS,
        "side": SIDE,
        "batch": BATCH,
    }


def _ratio(rates: dict[str, list[float]], name: str) -> float:
    """The median over the rounds, each compared with its own plain one."""
    return round(median(mine / plain for mine, plain in zip(rates[name], rates["plain"], strict=True)), 2)


def stages(root: Path) -> dict[str, dict[str, float]]:
    """Milliseconds a sample of each step, medians."""
    plain, ours = peer(root), module(root)
    samples = ours.samples("train")
    dataset, records = samples.dataset, list(samples.records)[:STAGE_SAMPLES]
    referents = plain.referents[:STAGE_SAMPLES]
    images = [dataset.image(record) for record in records]
    opened, masks = [plain.read(one) for one in referents], [plain.mask(one) for one in referents]
    pairs = [plain.resized(*pair) for pair in zip(opened, masks, strict=True)]
    batches = [[samples[Draw(first + k, 0)] for k in range(BATCH)] for first in range(0, STAGE_SAMPLES, BATCH)]
    items = [[plain[first + k] for k in range(BATCH)] for first in range(0, STAGE_SAMPLES, BATCH)]
    collate: Callable[[Any], Any] = DataLoader(plain).collate_fn
    return {
        "read": {"plain": _of(plain.read, referents), "default": _of(dataset.image, records)},
        "resize": {
            "plain": _of(lambda pair: plain.resized(*pair), list(zip(opened, masks, strict=True))),
            "default": _of(lambda image: resize_image(image, SIDE, "area"), images),
            "pillow": _of(lambda image: resize_image(image, SIDE, "pillow"), images),
        },
        "mask": {
            "plain": _of(plain.mask, referents),
            "default": _of(lambda record: dataset.resized_mask(record, SIDE), records),
        },
        "tensors, normalise, collate": {
            "plain": round(_of(lambda pair: plain.tensors(*pair), pairs) + _of(collate, items) / BATCH, 2),
            "default": round(_of(ours.collate, batches) / BATCH, 2),
        },
    }


def _of(work: Callable[[Any], Any], inputs: Sequence[Any]) -> float:
    times = []
    for _ in range(3):
        for one in inputs:
            began = time.process_time()
            work(one)
            times.append(time.process_time() - began)
    return round(median(times) * 1e3, 2)


if __name__ == "__main__":
    main()
