"""The results of `benchmarks/data.py` as a page of Markdown."""

from __future__ import annotations

from typing import Any

WAYS = {
    "plain": "the plain way (Pillow, whole masks)",
    "default": "`resize: area`, the default",
    "pillow": "`resize: pillow`, bit by bit the plain way's pixels",
    "cached": "`cache: <folder>`, once it is made",
}
COLUMNS = ("plain", "default", "pillow")
MEMORY = {"pss": "share of all memory (PSS)", "uss": "their own alone (USS)"}


def table(results: dict[str, Any]) -> str:
    """The page."""
    return "\n".join(["# Reading data", "", *_speeds(results), "", *_stages(results), "", *_memory(results), ""])


def _speeds(results: dict[str, Any]) -> list[str]:
    made_on, side = results["machine"], results["side"]
    lines = [
        f"`{results['command']}`: {results['data']['images']},",
        f"to {side}x{side}, in batches of {results['batch']}; one process on one core of {made_on['processor']}",
        f"({made_on['cores']} cores), OpenCV {made_on['opencv']}, Pillow {made_on['pillow']},",
        f"torch {made_on['torch']}; processor time, files in the page cache; {results['rounds']} rounds, all ways in",
        "turn.",
        "",
        "| way | samples/s, median (least to most) | times the plain way | by the wall clock |",
        "|---|---:|---:|---:|",
    ]
    for name, label in WAYS.items():
        rate = results["samples_per_second"][name]
        spread = f"{rate['median']:.0f} ({rate['least']:.0f} to {rate['most']:.0f})"
        times = [of.get(f"speedup_{name}", 1) for of in (results, results["wall_clock"])]
        lines.append(f"| {label} | {spread} | {times[0]:.2f} | {times[1]:.2f} |")
    return lines


def _stages(results: dict[str, Any]) -> list[str]:
    lines = ["| milliseconds a sample | plain | `area` | `pillow` |", "|---|---:|---:|---:|"]
    for stage, of in results["stages_ms"].items():
        lines.append(f"| {stage} | {' | '.join(str(of.get(column, of['default'])) for column in COLUMNS)} |")
    return lines


def _memory(results: dict[str, Any]) -> list[str]:
    memory = results["memory"]
    epochs = range(1, memory["epochs"] + 1)
    lines = [
        f"Memory of {memory['workers']} loader processes over {memory['epochs']} epochs of RRSIS-D's training set",
        f"({memory['samples']:,} samples, {memory['sentences']}, one small image), MB after each epoch, all of them",
        "together:",
        "",
        f"| | {' | '.join(f'epoch {epoch}' for epoch in epochs)} | growth |",
        f"|---|{'---:|' * (len(epochs) + 1)}",
    ]
    for name, label in MEMORY.items():
        of = memory[f"{name}_mb"]
        lines.append(f"| {label} | {' | '.join(f'{value:.0f}' for value in of)} | {of[-1] / of[0] - 1:+.1%} |")
    return lines
