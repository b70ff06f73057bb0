"""How fast training and evaluation are, and how much memory they take, beside the peers' way of computing.

    python benchmarks/speed.py        (or make bench)

SBANet, LAVT and RMSIN with Swin-T at 256 and Swin-B at 480 pixels and BERT-base, random weights, training steps of two
images. The ways are measured in turn, several rounds of all of them; the reference is `benchmarks/reference.py`, and
how near it is to what the machine could do at all is measured beside it. The results go to
`benchmarks/results/speed.json` and, as tables, `speed.md`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from machine import machine
from made_data import write_pictures
from speed_case import BATCH, MODELS, write_encoder
from speed_table import table

from sbanet.config.resolvers import multiplies_bfloat16
from sbanet.console import console

RESULTS = Path(__file__).parent / "results"
COMMAND = "make bench"
SIZES = {"swin_tiny": 256, "swin_base": 480}
ROUNDS = {"swin_tiny": {"rounds": 5, "images": 32}, "swin_base": {"rounds": 3, "images": 16}}
EFFECTS = {("rmsin", "swin_tiny"): 3, ("rmsin", "swin_base"): 2}
"""Rounds of ours without each fast path, and with checkpointing."""
JUDGED = "rmsin swin_base 480"
"""The case whose ratios stand first."""
NO_BFLOAT16 = "this processor has no instructions for bfloat16"


def main() -> None:
    """Measure and write down."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        encoder, pictures = write_encoder(Path(folder) / "encoder"), Path(folder) / "pictures"
        kind = write_pictures(pictures, max(of["images"] for of in ROUNDS.values()) + 1)
        cases: dict[str, Any] = {}
        for backbone, size in SIZES.items():
            for model in MODELS:
                named = [str(encoder), model, backbone, str(size)]
                console().log(*named[1:])
                cases[" ".join(named[1:])] = measured(named, pictures) | {"memory": memory(named)}
    results = {
        "ratios": ratios(cases[JUDGED]),
        "of": JUDGED,
        "honest": {name: honesty(case) for name, case in cases.items()},
        "variants": {
            name: {variant: variant_time(case, variant) for variant in case["variants"]}
            for name, case in cases.items()
            if case["variants"]
        },
        "all_ratios": {name: ratios(case) for name, case in cases.items()},
        "command": COMMAND,
        "minutes": round((time.perf_counter() - began) / 60, 1),
        "machine": machine(),
        "pictures": f"800x800 JPEG: {kind}",
        "cases": cases,
    }
    if not multiplies_bfloat16():
        results["no_bf16"] = NO_BFLOAT16
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "speed.json").write_text(json.dumps(results, indent=1) + "\n")
    (RESULTS / "speed.md").write_text(table(results))
    console().print(table(results))


def measured(named: list[str], pictures: Path) -> dict[str, Any]:
    """The times of a case."""
    model, backbone = named[1:3]
    options = {**ROUNDS[backbone], "effects": EFFECTS.get((model, backbone), 0)}
    return program("speed_rounds.py", *named, str(pictures), *(f"{key}={value}" for key, value in options.items()))


def memory(named: list[str]) -> dict[str, Any]:
    """The peak of each way, a process each."""
    ours = "bf16" if multiplies_bfloat16() else "float32"
    ways = ["reference", ours] + [f"{ours}, checkpointing"] * (" ".join(named[1:]) == JUDGED)
    return {way: program("speed_memory.py", *named, way) for way in ways}


def program(name: str, *arguments: str) -> Any:
    """What a program of this folder prints."""
    command = [sys.executable, str(Path(__file__).with_name(name)), *arguments]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def ratios(case: dict[str, Any]) -> dict[str, float | None]:
    """How many times as fast, and how much of the memory; None where this machine cannot tell."""
    found: dict[str, float | None] = {}
    for kind, name in (("train", "train"), ("evaluate", "eval")):
        for way, short in (("bf16", "bf16"), ("float32", "fp32")):
            times = case[kind].get(way)
            found[f"{name}_{short}"] = None if times is None else _ratio(kind, case[kind]["reference"], times)
    reference, *ours = case["memory"].values()
    found["memory"] = round(ours[0]["bytes"] / reference["bytes"], 3)
    found["memory_checkpointing"] = round(ours[1]["bytes"] / reference["bytes"], 3) if len(ours) > 1 else None
    found["time_checkpointing"] = variant_time(case, "with checkpointing")
    return found


def variant_time(case: dict[str, Any], name: str) -> float | None:
    """How many times as long as ours a variant takes, the median over the rounds."""
    times = case["variants"].get(name)
    if times is None:
        return None
    return round(median(other / ours for ours, other in zip(times["ours"], times["other"], strict=True)), 3)


def _ratio(kind: str, reference: list[float], ours: list[float]) -> float:
    """The median over the rounds, each compared with its own reference."""
    pairs = zip(reference, ours, strict=True)
    return round(median(a / b if kind == "train" else b / a for a, b in pairs), 3)


def honesty(case: dict[str, Any]) -> dict[str, float]:
    """How many times the reference takes what the machine would need at the rate of a large matrix product.

    And ours in bf16, by the rate of that; three times a forward pass for a step.
    """
    forward = 2 * case["multiply_adds"] / (max(case["rates"]["float32"]) * 1e12)
    found = {
        "limit_forward_s": round(forward, 3),
        "limit_step_s": round(BATCH * 3 * forward, 3),
        "forward": round(median(case["forward"]) / forward, 2),
        "step": round(median(case["train"]["reference"]) / (BATCH * 3 * forward), 2),
    }
    if "bf16" in case["rates"]:
        forward *= max(case["rates"]["float32"]) / max(case["rates"]["bf16"])
        found["step_bf16"] = round(median(case["train"]["bf16"]) / (BATCH * 3 * forward), 2)
        found["evaluation_bf16"] = round(1 / median(case["evaluate"]["bf16"]) / forward, 2)
    return found


if __name__ == "__main__":
    main()
