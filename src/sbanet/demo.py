"""`make demo`: SBANet and pixel-word attention trained, evaluated and compared; one table, one page."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from sbanet.analysis.groups import by_skill
from sbanet.analysis.page import write_page
from sbanet.analysis.rows import Row
from sbanet.analysis.runs import Run
from sbanet.analysis.tables import breakdown, comparison, summary
from sbanet.config import clear_errors, compose
from sbanet.console import console
from sbanet.errors import SbanetError
from sbanet.files import write_atomically

WRONG_SENTENCE = "wrong_sentence"
logger = logging.getLogger(__name__)


@clear_errors("demo")
def main(argv: Sequence[str] | None = None) -> None:
    """Run the demo; `argv` holds overrides of `conf/demo.yaml` and is `sys.argv` unless given."""
    logging.basicConfig(level=logging.INFO, format="demo: %(message)s")
    cfg = compose("demo", sys.argv[1:] if argv is None else argv)
    started = time.monotonic()
    folder = Path(cfg.folder)
    for name in cfg.models:
        train(cfg, name)
    evaluate_control(cfg)
    rows = compared_rows(cfg)
    minutes = (time.monotonic() - started) / 60
    write_summary(folder / "summary.json", rows, minutes)
    write_page(folder / "index.html", rows, title="SBANet and pixel-word attention on AeroScenes")
    out = console()
    out.print(comparison(rows).rich())
    out.print(breakdown(rows, by_skill, "Skill", metric=cfg.skills_metric).rich())
    out.print(f"{minutes:.1f} minutes; open {folder / 'index.html'}", highlight=False)


def train(cfg: DictConfig, name: str) -> None:
    """Train one of the models, anew, in a process of its own, and score it on the test split."""
    logger.info("training %s", name)
    overrides = [*cfg.models[name], *cfg.overrides, f"name={name}", "resume=false"]
    run("sbanet.train", *overrides, f"hydra.run.dir={Path(cfg.folder, name)}")


def evaluate_control(cfg: DictConfig) -> None:
    """Score the control: does the model listen, or does it mark what stands out?"""
    logger.info("evaluating %s with the sentence of another object", cfg.control)
    checkpoint = Path(cfg.folder, cfg.control, "checkpoints", "best.ckpt")
    run("sbanet.evaluate", f"ckpt={checkpoint}", "data.sentence=other")


def run(module: str, *arguments: str) -> None:
    """Run one of the commands.

    Raises:
        SbanetError: it failed; it has said why.
    """
    finished = subprocess.run([sys.executable, "-m", module, *arguments], check=False)
    if finished.returncode:
        raise SbanetError(f"{module} {' '.join(arguments)} ended with exit code {finished.returncode}; see above")


def compared_rows(cfg: DictConfig) -> list[Row]:
    """A row a model, and the control."""
    runs = {str(name): Run(Path(cfg.folder, str(name))) for name in cfg.models}
    rows = [Row(name, (run,)) for name, run in runs.items()]
    control = Row(f"{cfg.control}, wrong sentence", (runs[cfg.control],), f"test_{WRONG_SENTENCE}", control=True)
    return [*rows, control]


def write_summary(path: Path, rows: Sequence[Row], minutes: float) -> None:
    """The scores as JSON; fractions, and the minutes without the installation."""
    frames = {WRONG_SENTENCE if row.control else row.name: row.predictions for row in rows}
    write_atomically(path, json.dumps(summary(frames) | {"minutes": round(minutes, 2)}, indent=2) + "\n")


if __name__ == "__main__":
    main()
