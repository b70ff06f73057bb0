"""How long the commands take until they answer: `--help`, a mistake, a report over fifty runs.

    PYTHONPATH=$PWD python benchmarks/startup.py        (or make bench-startup)

Each answer is a process of its own, from its start to its end, files in the page cache; the commands are measured in
turn, several rounds of all of them. The results go to `benchmarks/results/startup.json` and, as a table, `startup.md`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

from machine import machine

from sbanet.console import console
from tests.analysis.conftest import write_run

RESULTS = Path(__file__).parent / "results"
COMMAND = "make bench-startup"
ROUNDS = 7
REPORT_ROUNDS = 5

SCRIPTS = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]["scripts"]
MISTAKES = {"sbanet-train sed=1": 2, "sbanet-check sed=1": 1, "sbanet-check": 0}
"""What a config costs that has one, or none: the command line -> its exit code."""

VARIANTS, SEEDS, SCENES = 10, 5, 400
"""Of the runs of a report; each scene has four sentences, as the test split of AeroScenes."""

LIMITS = {"help": 1.5, "report": 5.0}
"""Seconds that an answer may take on an idle machine."""


def main() -> None:
    """Measure and write down."""
    helps = dict.fromkeys((f"{command} --help" for command in SCRIPTS), 0)
    load = {"before": round(os.getloadavg()[0], 2)}
    results: dict[str, Any] = {"command": COMMAND, "machine": machine() | versions(), "limits_seconds": LIMITS}
    with tempfile.TemporaryDirectory() as folder:
        results |= {"rounds": ROUNDS, "help": seconds(helps, ROUNDS, folder)}
        results["mistakes"] = seconds(MISTAKES, ROUNDS, folder)
        write_runs(Path(folder, "runs"))
        report = f"sbanet-report {folder}/runs baseline=variant0 format=html,markdown"
        [taken] = seconds({report: 0}, REPORT_ROUNDS, folder).values()
    results["report"] = {"runs": VARIANTS * SEEDS, "rows": VARIANTS, "sentences_a_run": SCENES * 4, **taken}
    results["load"] = load | {"after": round(os.getloadavg()[0], 2)}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "startup.json").write_text(json.dumps(results, indent=1) + "\n")
    (RESULTS / "startup.md").write_text(table(results))
    console().print(table(results))


def seconds(lines: dict[str, int], rounds: int, folder: str) -> dict[str, dict[str, float]]:
    """What each command line takes, its median and spread by the wall clock, and the median of processor time.

    Args:
        lines: command line -> the exit code that it must have.
        rounds: how often each; a first one, which fills the page cache, is not counted.
        folder: where they run.
    """
    walls: dict[str, list[float]] = {line: [] for line in lines}
    processors: dict[str, list[float]] = {line: [] for line in lines}
    for _ in range(1 + rounds):
        for line, code in lines.items():
            wall, processor = answer(line, code, folder)
            walls[line].append(wall)
            processors[line].append(processor)
    return {
        line: {
            "median": round(median(walls[line][1:]), 2),
            "least": round(min(walls[line][1:]), 2),
            "most": round(max(walls[line][1:]), 2),
            "processor": round(median(processors[line][1:]), 2),
        }
        for line in lines
    }


def answer(line: str, code: int, folder: str) -> tuple[float, float]:
    """Run a command line; seconds by the wall clock and of the processor."""
    command, *arguments = line.split()
    module = SCRIPTS[command].partition(":")[0]
    before, began = os.times(), time.perf_counter()
    done = subprocess.run([sys.executable, "-m", module, *arguments], cwd=folder, capture_output=True, check=False)
    wall, after = time.perf_counter() - began, os.times()
    if done.returncode != code:
        raise RuntimeError(f"{line}: exit code {done.returncode}, expected {code}\n{done.stderr.decode()}")
    return wall, sum(after[2:4]) - sum(before[2:4])


def write_runs(root: Path) -> None:
    """Made runs: so many variants, a few seeds each."""
    for variant in range(VARIANTS):
        for seed in range(1, SEEDS + 1):
            folder = root / f"variant{variant}" / f"seed-{seed}"
            write_run(folder, name=f"variant{variant}", skill=0.5 + variant / 40, seed=seed, scenes=SCENES)


def versions() -> dict[str, str]:
    """Of the libraries that take the time."""
    return {name: metadata.version(name) for name in ("hydra-core", "torch", "lightning", "pandas", "plotly")}


def table(results: dict[str, Any]) -> str:
    """The results as a page of Markdown."""
    made_on, load, limits, report = (results[key] for key in ("machine", "load", "limits_seconds", "report"))
    what = f"`sbanet-report` over {report['runs']} runs, {report['rows']} rows of {report['sentences_a_run']} sentences"
    rows = [(f"`{line}`", limits["help"], taken) for line, taken in results["help"].items()]
    rows += [(f"`{line}`", "", taken) for line, taken in results["mistakes"].items()]
    rows.append((what, limits["report"], report))
    lines = [
        "# Until a command answers",
        "",
        f"`{results['command']}`: seconds from the start of a process to its end; {made_on['processor']}",
        f"({made_on['cores']} cores), Python {made_on['python']}, Hydra {made_on['hydra-core']},",
        f"torch {made_on['torch']}, Lightning {made_on['lightning']}, pandas {made_on['pandas']};",
        f"files in the page cache, {results['rounds']} rounds, all commands in turn. Load of the machine, this",
        f"benchmark included: {load['before']} before, {load['after']} after; the limits are for an idle one.",
        "",
        "| command | median (least to most) | limit | processor |",
        "|---|---:|---:|---:|",
    ]
    for name, limit, taken in rows:
        spread = f"{taken['median']:.2f} ({taken['least']:.2f} to {taken['most']:.2f})"
        lines.append(f"| {name} | {spread} | {limit} | {taken['processor']:.2f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
