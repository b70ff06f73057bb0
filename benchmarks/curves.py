"""How time and memory grow with the image, the batch, the words, the queries and the ranks.

    python benchmarks/curves.py        (make bench-full, after make bench)

SBANet with Swin-T and BERT-base, each point in a process of its own, so that its memory is its own; the nodes that are
SBANet's alone are timed apart. The results go to `benchmarks/results/curves.json` and, as a table, `curves.md`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from machine import machine
from speed import RESULTS, program
from speed_case import BATCH, TOKENS, WAYS, Built, Case, write_encoder

from sbanet.config.resolvers import multiplies_bfloat16
from sbanet.console import console
from sbanet.models.nodes import Words

COMMAND = "make bench-full"
WAY = "bf16" if multiplies_bfloat16() else "float32"
QUERIES = 16
ROUNDS = 5
RANKS = (1, 2)
RANKS_STEPS = 40


class Point(NamedTuple):
    """A place on the curves."""

    side: int = 256
    batch: int = BATCH
    tokens: int = TOKENS
    queries: int = QUERIES


CURVES = {
    "image side, one image": [Point(side=side, batch=1) for side in (256, 384, 512, 768, 1024)],
    "batch": [Point(batch=batch) for batch in (1, 2, 4, 8)],
    "tokens": [Point(tokens=tokens) for tokens in (10, 20, 40, 80)],
    "queries": [Point(queries=queries) for queries in (4, 8, 16, 32, 64)],
}


def main() -> None:
    """Measure and write down."""
    with tempfile.TemporaryDirectory() as folder:
        encoder = write_encoder(Path(folder) / "encoder")
        curves = {name: [measured(encoder, point) for point in points] for name, points in CURVES.items()}
        ranks = {str(count): images_per_second(count, Path(folder) / "runs") for count in RANKS}
    results = {"command": COMMAND, "machine": machine(), "way": WAY, "curves": curves, "images_per_second": ranks}
    (RESULTS / "curves.json").write_text(json.dumps(results, indent=1) + "\n")
    (RESULTS / "curves.md").write_text("\n".join(table(results)))
    console().print("\n".join(table(results)))


def measured(encoder: Path, point: Point) -> dict[str, Any]:
    """Seconds and bytes of a training step, and seconds of SBANet's own nodes in it."""
    console().log(point)
    queries = f"model.alignment.num_queries={point.queries}"
    step = program(
        "speed_memory.py", str(encoder), "sbanet", "swin_tiny", str(point.side), WAY,
        f"batch={point.batch}", f"tokens={point.tokens}", f"steps={1 + ROUNDS}", queries,
    )  # fmt: skip
    built = Case("sbanet", "swin_tiny", point.side, encoder, (queries,)).build(WAYS[WAY])
    return {**point._asdict(), **step, "own_nodes_seconds": list(islice(own_nodes(built, point), 1, 1 + ROUNDS))}


def own_nodes(built: Built, point: Point) -> Iterator[float]:
    """Seconds of the alignments and the aggregator, forward and backward, on maps of noise; the first is warm-up."""
    model = built.model
    maps = [
        torch.randn(point.batch, count, *2 * [point.side // stride]).contiguous(memory_format=torch.channels_last)
        for count, stride in zip(model.backbone.channels, model.backbone.strides, strict=True)
    ]
    features = torch.randn(point.batch, point.tokens, model.text_encoder.width)
    words = Words(features, torch.ones(point.batch, point.tokens, dtype=torch.bool))
    while True:
        began = time.perf_counter()
        with WAYS[WAY].context():
            aligned = [alignment(visual, words) for alignment, visual in zip(model.alignments, maps, strict=True)]
            fused = model.aggregator([one.fused for one in aligned], aligned[-1].words)
        sum(one.float().sum() for one in (*fused, *(one.visual for one in aligned))).backward()
        model.zero_grad()
        yield time.perf_counter() - began


def images_per_second(ranks: int, runs: Path) -> float:
    """Of the demo's model trained on so many ranks of one thread each."""
    settings = [
        "experiment=aeroscenes_sbanet", "trainer=ddp", "trainer.accelerator=cpu", f"trainer.devices={ranks}",
        "trainer.max_epochs=1", f"trainer.max_steps={RANKS_STEPS}", "trainer.limit_val_batches=0",
        "trainer.val_check_interval=null", "test=false",
        "callbacks=none", f"hydra.run.dir={runs / str(ranks)}", "data.num_workers=0",
        "data.scenes_per_split={train: 640, val: 16, test: 16}", f"paths.cache={runs}",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "sbanet.train", *settings], check=True, env=environment)
    return float(json.loads((runs / str(ranks) / "run.json").read_text())["train_images_per_second"])


def table(results: dict[str, Any]) -> list[str]:
    """The page's lines."""
    made_on = results["machine"]
    lines = [
        "# How time and memory grow",
        "",
        f"`{results['command']}`: SBANet, Swin-T, BERT-base, {results['way']}, {made_on['processor']},",
        f"{made_on['cores']} cores, {made_on['instructions']}, torch {made_on['torch']}; training steps, medians of",
        f"{ROUNDS}. Own nodes are the alignments and the aggregator, forwards and backwards.",
        "",
        "| curve | side | batch | tokens | queries | step, s | own nodes, s | peak, GB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, points in results["curves"].items():
        lines += [
            f"| {name} | {p['side']} | {p['batch']} | {p['tokens']} | {p['queries']} | {median(p['seconds']):.2f} "
            f"| {median(p['own_nodes_seconds']):.3f} | {p['bytes'] / 1e9:.2f} |"
            for p in points
        ]
    lines += ["", "| ranks of one thread, the demo's model | images/s |", "|---|---:|"]
    return [*lines, *(f"| {ranks} | {rate:.1f} |" for ranks, rate in results["images_per_second"].items()), ""]


if __name__ == "__main__":
    main()
