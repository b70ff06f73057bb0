"""The memory of loader processes, epoch after epoch, over as many annotations as RRSIS-D has.

A program of its own, which prints JSON: the processes share what their parent has in memory, so it should have no more
than a training does.
"""

from __future__ import annotations

import gc
import json
import logging
import multiprocessing
import tempfile
import warnings
from pathlib import Path
from typing import Any

import lightning as L
from hydra.utils import instantiate
from made_data import write_all_refs

from sbanet.config import compose
from sbanet.console import console

WORKERS = 4
EPOCHS = 5
IMAGE_SIDE = 100


def memory_of_workers(root: Path) -> dict[str, Any]:
    """MB of all loader processes together after each epoch, and the growth of their share from first to last."""
    sentences = write_all_refs(root, IMAGE_SIDE)
    settings = [f"data.root={root}", "data.image_size=32", "data.batch_size=8", f"data.num_workers={WORKERS}"]
    cfg = compose("train", ["data=rrsisd", *settings])
    data = instantiate(cfg.data, **instantiate(cfg.model).input_format())
    data.trainer = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    loader = data.train_dataloader()
    gc.collect()
    measured: dict[str, list[float]] = {"pss_mb": [], "uss_mb": []}
    for epoch in range(EPOCHS):
        data.trainer.fit_loop.epoch_progress.current.processed = epoch  # each in its own order
        for _ in loader:
            pass
        pss, uss = (sum(of) / 1e3 for of in zip(*map(_kilobytes, _loader_processes()), strict=True))
        measured["pss_mb"].append(round(pss, 1))
        measured["uss_mb"].append(round(uss, 1))
    of = measured["pss_mb"]
    about = {"workers": WORKERS, "epochs": EPOCHS, "samples": len(data.samples("train")), "sentences": sentences}
    return {"growth": round(of[-1] / of[0] - 1, 4), **about, **measured}


def _loader_processes() -> list[int]:
    found = [process.pid for process in multiprocessing.active_children() if process.pid is not None]
    assert len(found) == WORKERS, found
    return found


def _kilobytes(pid: int) -> tuple[int, int]:
    """A process's share of the memory that it has in common with others, and its own alone."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    values = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return values["Pss"], values["Private_Clean"] + values["Private_Dirty"]


if __name__ == "__main__":
    logging.disable(logging.INFO)
    warnings.filterwarnings("ignore", "This DataLoader will create")  # more processes than a small machine has cores
    with tempfile.TemporaryDirectory() as folder:
        console().print_json(json.dumps(memory_of_workers(Path(folder) / "refs")))
