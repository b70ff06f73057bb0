"""A model at a size, timed in all ways in turn: python benchmarks/speed_rounds.py ENCODER MODEL BACKBONE SIZE PICTURES.

A program of its own, which prints JSON: the memory of one case is free again for the next. Options, as KEY=NUMBER:
`rounds`, `images` an evaluation (the peers' loop, which has nothing to set up, takes `EVAL_BATCH`), `effects` = rounds
of the variants of ours.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from hydra.utils import instantiate
from machine import product_rate
from peer import Peer
from speed_case import OF_FLOAT32, VARIANTS, WAYS, Built, Case, Way, training_step

from sbanet.config.resolvers import multiplies_bfloat16
from sbanet.console import console
from sbanet.models.nodes import foreground_logits
from sbanet.training.complexity import count_multiply_adds, count_parameters
from sbanet.training.host_memory import keep_freed_memory
from sbanet.training.module import ReferringSegmentation
from sbanet.training.trainer import build_trainer

EVAL_BATCH = 8


class Turn(NamedTuple):
    """What is timed, in which way, and what goes before it untimed where its memory is not there yet."""

    way: Way
    run: Callable[[], Any]
    warm_up: Callable[[], Any]


def measure(case: Case, pictures: Path, *, rounds: int, images: int, effects: int) -> dict[str, Any]:
    """Seconds of each way's training steps and evaluations, and the machine's rate before, between and after."""
    names = ["reference", "float32", *(["bf16"] if multiplies_bfloat16() else [])]
    rates = [product_rates()]
    reference, ours = case.build(WAYS["reference"]), case.build(WAYS["float32"])
    built = {name: reference if name == "reference" else ours for name in names}
    found: dict[str, Any] = {
        "parameters": count_parameters(ours.model),
        "multiply_adds": count_multiply_adds(ours.model, image_size=case.image_size),
        "train": in_turn({name: step(case, built[name], WAYS[name]) for name in names}, rounds),
    }
    rates.append(product_rates())
    found["forward"] = in_turn({"reference": forward(case, reference, WAYS["reference"])}, rounds)["reference"]
    counts = {name: EVAL_BATCH if WAYS[name].like_peers else images for name in names}
    evaluations = {name: evaluation(case, built[name], WAYS[name], pictures, counts[name]) for name in names}
    found["evaluate"] = {
        name: [counts[name] / seconds for seconds in times] for name, times in in_turn(evaluations, rounds).items()
    }
    rates.append(product_rates())
    del reference, built, evaluations
    ours.model.train()
    found["variants"] = {name: beside(case, ours, name, effects) for name in VARIANTS} if effects else {}
    found["rates"] = {kind: [rate[kind] for rate in rates] for kind in rates[0]}
    return found


def beside(case: Case, ours: Built, variant: str, rounds: int) -> dict[str, list[float]]:
    """Seconds of training steps of ours and of a variant."""
    way = VARIANTS[variant]
    fastest = WAYS["bf16" if multiplies_bfloat16() and variant not in OF_FLOAT32 else "float32"]
    way = replace(way, bfloat16=fastest.bfloat16)
    return in_turn({"ours": step(case, ours, fastest), "other": step(case, case.build(way), way)}, rounds)


def product_rates() -> dict[str, float]:
    """TFLOP/s by the type of number."""
    rates = {"float32": product_rate(torch.float32)}
    return {**rates, "bf16": product_rate(torch.bfloat16)} if multiplies_bfloat16() else rates


def in_turn(turns: Mapping[str, Turn], rounds: int) -> dict[str, list[float]]:
    """Seconds of each, one after the other, round by round.

    Something untimed comes first, and again after a way that gave its memory back to the system: in a training or an
    evaluation, such ways do not take turns.
    """
    times: dict[str, list[float]] = {name: [] for name in turns}
    kept = False
    for number in range(rounds):
        for name, (way, run, warm_up) in turns.items():
            keep_freed_memory(way.keeps_memory)
            if number == 0 or (way.keeps_memory and not kept):
                warm_up()
            kept = way.keeps_memory
            began = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - began)
    return times


def step(case: Case, built: Built, way: Way) -> Turn:
    """A training step."""
    batch = case.batch(channels_last=built.cfg.model.channels_last)

    def run() -> None:
        training_step(built, way, batch)

    return Turn(way, run, run)


def forward(case: Case, built: Built, way: Way) -> Turn:
    """The forward pass of one image."""
    batch = case.batch(1, channels_last=built.cfg.model.channels_last)

    def run() -> None:
        built.model.eval()
        with torch.no_grad(), way.context():
            built.model(batch.image, batch.token_ids, batch.token_mask)

    return Turn(way, run, run)


def evaluation(case: Case, built: Built, way: Way, pictures: Path, images: int) -> Turn:
    """From files to intersections and unions; a batch of it to warm up."""
    return Turn(way, *(evaluating(case, built, way, pictures, count) for count in (images, EVAL_BATCH)))


def evaluating(case: Case, built: Built, way: Way, pictures: Path, images: int) -> Callable[[], Any]:
    """Ours by the trainer, by both protocols; the peers' by their loop."""
    # without loader processes, as the peers' loop: on a CPU they only take the model's cores
    settings = (f"data.root={pictures}", f"data.eval_batch_size={EVAL_BATCH}", "data.num_workers=0")
    cfg = case.compose(settings)
    data = instantiate(cfg.data, **built.model.input_format())
    data.test_split = "train"  # here without augmentation
    precision = "bf16-mixed" if way.bfloat16 else "32-true"
    cfg.trainer.keep_freed_memory = way.keeps_memory
    cfg.trainer.update({"precision": precision, "limit_test_batches": images // EVAL_BATCH})
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
