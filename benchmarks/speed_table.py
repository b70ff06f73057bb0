"""The results of `benchmarks/speed.py` as a page of Markdown."""

from __future__ import annotations

from statistics import median
from typing import Any

RATIOS = {
    "train_bf16": "training step, bf16",
    "train_fp32": "training step, float32",
    "eval_bf16": "evaluation, bf16",
    "eval_fp32": "evaluation, float32",
    "memory": "peak memory of a step, share of the reference",
    "memory_checkpointing": "the same with activation checkpointing",
    "time_checkpointing": "time of a step with it, times that without",
}


def table(results: dict[str, Any]) -> str:
    """The page."""
    parts = (
        _about(results),
        _ratios(results),
        _honesty(results),
        _cases(results),
        _memory(results),
        _variants(results),
    )
    return "\n".join(["# Speed", "", *(line for part in parts for line in [*part, ""])])


def _about(results: dict[str, Any]) -> list[str]:
    made_on = results["machine"]
    lines = [
        f"`{results['command']}`, {results['minutes']:.0f} minutes: {made_on['processor']}, {made_on['cores']} cores,",
        f"{made_on['instructions']}, {made_on['memory_gib']} GiB, torch {made_on['torch']}. Random weights, BERT-base;",
        f"training steps of two images and 20 tokens; evaluation from files ({results['pictures']})",
        "to intersections and unions. The reference is the peers' way of computing inside this code",
        "(`benchmarks/reference.py`). All ways in turn, medians with the least and the most.",
    ]
    return [*lines, f"No bf16: {results['no_bf16']}."] if "no_bf16" in results else lines


def _ratios(results: dict[str, Any]) -> list[str]:
    names = list(results["all_ratios"])
    lines = [f"| times the reference | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    for key, label in RATIOS.items():
        values = (of[key] for of in results["all_ratios"].values())
        lines.append(f"| {label} | {' | '.join('' if value is None else f'{value:.2f}' for value in values)} |")
    return lines


def _honesty(results: dict[str, Any]) -> list[str]:
    lines = [
        "How near the reference is to the limit: multiply-adds (three times as many for a step) at the rate of a",
        "product of two 4096 x 4096 matrices, measured in the same process. Ours in bf16 beside the same multiply-adds",
        "at the rate of bf16; it has fewer to do, since it mixes early and skips what is padding.",
        "",
        "| | G multiply-adds | TFLOP/s float32 | bf16 | forward limit, s | reference / limit | step limit, s "
        "| reference / limit | bf16 step / its limit | bf16 evaluation / its limit |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, of in results["honest"].items():
        case = results["cases"][name]
        rates = {kind: f"{max(values):.2f}" for kind, values in case["rates"].items()}
        lines.append(
            f"| {name} | {case['multiply_adds'] / 1e9:.1f} | {rates['float32']} | {rates.get('bf16', '')} "
            f"| {of['limit_forward_s']:.2f} | {of['forward']:.2f} | {of['limit_step_s']:.2f} | {of['step']:.2f} "
            f"| {of.get('step_bf16', '')} | {of.get('evaluation_bf16', '')} |"
        )
    return lines


def _cases(results: dict[str, Any]) -> list[str]:
    lines = [
        "| | way | training step, s | evaluation, images/s | rounds |",
        "|---|---|---:|---:|---:|",
    ]
    for name, case in results["cases"].items():
        for way, times in case["train"].items():
            lines.append(f"| {name} | {way} | {_spread(times)} | {_spread(case['evaluate'][way])} | {len(times)} |")
    return lines


def _memory(results: dict[str, Any]) -> list[str]:
    lines = [
        "Peak memory of training steps above that of the built model, each in a process of its own:",
        "",
        "| | way | GB |",
        "|---|---|---:|",
    ]
    for name, case in results["cases"].items():
        lines += [f"| {name} | {way} | {of['bytes'] / 1e9:.2f} |" for way, of in case["memory"].items()]
    return lines


def _variants(results: dict[str, Any]) -> list[str]:
    lines = [
        "What each fast path is worth: the time of a training step without it, times that with all, in turn.",
        "",
        "| | variant of ours | times as long | rounds |",
        "|---|---|---:|---:|",
    ]
    for name, of in results["variants"].items():
        for variant, value in of.items():
            times = results["cases"][name]["variants"][variant]
            each = [other / ours for ours, other in zip(times["ours"], times["other"], strict=True)]
            lines.append(f"| {name} | {variant} | {value:.2f} ({min(each):.2f} to {max(each):.2f}) | {len(each)} |")
    return lines


def _spread(values: list[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"
