"""A model at a size, timed in all ways in turn: python benchmarks/speed_rounds.py ENCODER MODEL BACKBONE SIZE PICTURES.

A program of its own, which prints JSON: the memory of one case is free again for the next. Options, as KEY=NUMBER:
`rounds`, `images` an evaluation, `effects` = rounds of the variants of ours.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from machine import product_rate
from peer import Peer
from speed_case import VARIANTS, WAYS, Built, Case, Way, training_step

from sbanet.config.resolvers import multiplies_bfloat16
from sbanet.console import console
from sbanet.models.nodes import foreground_logits
from sbanet.training.complexity import count_multiply_adds, count_parameters
from sbanet.training.host_memory import keep_freed_memory
from sbanet.training.module import ReferringSegmentation
from sbanet.training.trainer import build_trainer

EVAL_BATCH = 8


def measure(case: Case, pictures: Path, *, rounds: int, images: int, effects: int) -> dict[str, Any]:
    """Seconds of each way's training steps and evaluations, and the machine's rate before, between and after."""
    names = ["reference", "float32", *(["bf16"] if multiplies_bfloat16() else [])]
    rates = [product_rates()]
    reference, ours = case.build(WAYS["reference"]), case.build(WAYS["float32"])
    built = {name: reference if name == "reference" else ours for name in names}
    found: dict[str, Any] = {
        "parameters": count_parameters(ours.model),
        "multiply_adds": count_multiply_adds(ours.model, image_size=case.image_size),
        "train": in_turn({name: (WAYS[name], step(case, built[name], WAYS[name])) for name in names}, rounds),
    }
    rates.append(product_rates())
    plain = WAYS["reference"]
    found["forward"] = in_turn({"reference": (plain, forward(case, reference, plain))}, rounds)["reference"]
    evaluations = {name: (WAYS[name], evaluation(case, built[name], WAYS[name], pictures, images)) for name in names}
    found["evaluate"] = {
        name: [images / seconds for seconds in times] for name, times in in_turn(evaluations, rounds).items()
    }
    rates.append(product_rates())
    del reference, built, evaluations
    found["variants"] = {}
    ours.model.train()
    fastest = WAYS[names[-1]]
    for name, way in VARIANTS.items() if effects else ():
        way = replace(way, bfloat16=fastest.bfloat16)
        other = case.build(way)
        pair = {"ours": (fastest, step(case, ours, fastest)), "other": (way, step(case, other, way))}
        found["variants"][name] = in_turn(pair, effects)
        del other
    found["rates"] = {kind: [rate[kind] for rate in rates] for kind in rates[0]}
    return found


def product_rates() -> dict[str, float]:
    """TFLOP/s by the type of number."""
    rates = {"float32": product_rate(torch.float32)}
    return {**rates, "bf16": product_rate(torch.bfloat16)} if multiplies_bfloat16() else rates


def in_turn(ways: Mapping[str, tuple[Way, Callable[[], Any]]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each, one after the other, round by round; a first round is not counted."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, (way, run) in ways.items():
            keep_freed_memory(way.keeps_memory)
            began = time.perf_counter()
            run()
            if number:
                times[name].append(time.perf_counter() - began)
    return times


def step(case: Case, built: Built, way: Way) -> Callable[[], None]:
    """A training step."""
    batch = case.batch(channels_last=built.cfg.model.channels_last)
    return lambda: training_step(built, way, batch)


def forward(case: Case, built: Built, way: Way) -> Callable[[], None]:
    """The forward pass of one image."""
    batch = case.batch(1, channels_last=built.cfg.model.channels_last)

    def run() -> None:
        built.model.eval()
        with torch.no_grad(), way.context():
            built.model(batch.image, batch.token_ids, batch.token_mask)

    return run


def evaluation(case: Case, built: Built, way: Way, pictures: Path, images: int) -> Callable[[], None]:
    """From files to intersections and unions: ours by the trainer, by both protocols; the peers' by their loop."""
    batch_size = min(EVAL_BATCH, images)
    # without loader processes, as the peers' loop: on a CPU they only take the model's cores
    settings = (f"data.root={pictures}", f"data.eval_batch_size={batch_size}", "data.num_workers=0")
    cfg = case.compose(settings)
    data = instantiate(cfg.data, **built.model.input_format())
    data.test_split = "train"  # here without augmentation
    precision = "bf16-mixed" if way.bfloat16 else "32-true"
    cfg.trainer.keep_freed_memory = way.keeps_memory
    cfg.trainer.update({"precision": precision, "limit_test_batches": -(-images // cfg.data.eval_batch_size)})
    trainer = build_trainer(cfg.trainer, callbacks=[], logger=False)
    if not way.like_peers:
        task = ReferringSegmentation(
            model=built.model, loss=built.loss, optim=instantiate(cfg.optim), seed=0, config={}
        )
        return lambda: trainer.test(task, datamodule=data, verbose=False)
    data.trainer = trainer
    referents = [referent for referent in data.referents if referent.split == "train"][:images]
    samples = Peer(referents, pictures / data.images, case.image_size, data.mean, data.std)
    return lambda: evaluate_like_peers(built, way, samples)


@torch.no_grad()
def evaluate_like_peers(built: Built, way: Way, samples: Peer) -> list[tuple[int, int]]:
    """I and U of every sample, one by one."""
    built.model.eval()
    found = []
    for number in range(len(samples)):
        image, target, tokens, mask = (part[None] for part in samples[number])
        with way.context():
            logits = foreground_logits(built.model(image, tokens, mask.bool()))
        predicted, wanted = (logits > 0).numpy(), target.numpy() == 1
        found.append((int(np.sum(predicted & wanted)), int(np.sum(predicted | wanted))))
    return found


def main(encoder: str, model: str, backbone: str, size: str, pictures: str, *options: str) -> None:
    """Measure, and print."""
    logging.disable(logging.WARNING)
    case = Case(model, backbone, int(size), Path(encoder))
    numbers = {name: int(value) for name, _, value in (option.partition("=") for option in options)}
    found = measure(case, Path(pictures), **numbers)
    console().print_json(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
