"""Whether reading data holds training back: steps with loader processes beside steps on batches that are in memory.

    python benchmarks/loading.py        (or make bench-loading)

AeroScenes with its scenes drawn beforehand, and the photographs of NWPU VHR-10 at their experiment's size, where
`$SBANET_DATA` names them; two loader processes. The results go to `benchmarks/results/loading.json`.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from hydra.utils import instantiate
from machine import machine
from speed_case import Built, Way, training_step

from sbanet.config import compose
from sbanet.console import console
from sbanet.data.records import Batch
from sbanet.training.module import ReferringSegmentation
from sbanet.training.trainer import build_trainer

RESULTS = Path(__file__).parent / "results"
COMMAND = "make bench-loading"
EXPERIMENTS: dict[str, tuple[str, ...]] = {
    "aeroscenes_sbanet": ("data.scenes_per_split={train: 400, val: 4, test: 4}",),
    "vhr10_sbanet": (),
}
WORKERS, STEPS, ROUNDS = 2, 40, 5


def main() -> None:
    """Measure and write down."""
    logging.disable(logging.WARNING)
    names = [name for name in EXPERIMENTS if name != "vhr10_sbanet" or "SBANET_DATA" in os.environ]
    with tempfile.TemporaryDirectory() as cache:
        found = {name: measured(name, f"paths.cache={cache}", *EXPERIMENTS[name]) for name in names}
    results = {
        "loading_over_memory": {name: of["ratio"] for name, of in found.items()},
        "command": COMMAND,
        "machine": machine(),
        "workers": WORKERS,
        "steps": STEPS,
        "seconds_a_step": {name: of["seconds"] for name, of in found.items()},
    }
    (RESULTS / "loading.json").write_text(json.dumps(results, indent=1) + "\n")
    console().print_json(json.dumps(results))


def measured(experiment: str, *overrides: str) -> dict[str, Any]:
    """Seconds of a step either way, round by round, and the median of their ratios."""
    cfg = compose("train", [f"experiment={experiment}", f"data.num_workers={WORKERS}", *overrides])
    model = instantiate(cfg.model)
    data = instantiate(cfg.data, **model.input_format())
    task = ReferringSegmentation(
        model=model, loss=instantiate(cfg.loss), optim=instantiate(cfg.optim), seed=0, config={}
    )
    data.trainer = build_trainer(cfg.trainer, callbacks=[], logger=False)
    optimizer, _ = task.optim.build(model.named_parameters(), total_steps=1000)
    built, way = Built(cfg, model.train(), task.loss, optimizer), Way(bfloat16=cfg.trainer.precision == "bf16-mixed")
    data.prepare_data()
    loader = data.train_dataloader()
    kept = list(islice(loader, STEPS))

    def seconds_a_step(batches: Iterable[Batch]) -> float:
        began = 0.0
        for number, batch in enumerate(batches):
            if number == 1:  # the first waits for the loader processes, once an epoch
                began = time.perf_counter()
            training_step(built, way, batch)
        return (time.perf_counter() - began) / (STEPS - 1)

    seconds_a_step(kept)
    times = [(seconds_a_step(kept), seconds_a_step(islice(loader, STEPS))) for _ in range(ROUNDS)]
    return {
        "ratio": round(median(loading / memory for memory, loading in times), 3),
        "seconds": {"memory": [m for m, _ in times], "loading": [loading for _, loading in times]},
    }


if __name__ == "__main__":
    main()
