"""`sbanet-evaluate`: score a checkpoint on a split, by both protocols, and write the table of its answers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from sbanet.config import clear_errors, compose, split_literal
from sbanet.errors import ConfigError
from sbanet.inference import read_checkpoint, segmenter_of
from sbanet.training.module import PROTOCOLS, ReferringSegmentation
from sbanet.training.predictions import PredictionTable
from sbanet.training.run_folder import RunFolder
from sbanet.training.trainer import build_trainer

CONDITIONS = {"own": "", "other": "_wrong_sentence", "none": "_no_sentence"}
"""What a control adds to the name of its table."""

GROUPS = ("data", "trainer")
"""What of a checkpoint's config an evaluation may change."""

_ABOUT = """Score a checkpoint: sbanet-evaluate ckpt=PATH [split=test] [data=...] [data.KEY=VALUE] [trainer.KEY=VALUE].
Without data=... the data is that of the checkpoint's own config. The table of answers goes into the checkpoint's
run folder, else into runs/evaluate/."""


@clear_errors()
def main(argv: Sequence[str] | None = None) -> None:
    """Score a checkpoint from the command line; `argv` is `sys.argv` unless given."""
    parser = argparse.ArgumentParser("sbanet-evaluate", description=_ABOUT)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    arguments = parser.parse_args(sys.argv[1:] if argv is None else argv).overrides
    literal, overrides = split_literal(arguments, ("ckpt", "split", "out"))
    if "ckpt" not in literal:
        raise ConfigError("ckpt is missing; say which checkpoint to score: sbanet-evaluate ckpt=<file>")
    metrics = evaluate(literal["ckpt"], overrides, split=literal.get("split", "test"), out=literal.get("out"))
    Console().print(score_table(metrics))


def evaluate(
    ckpt: str | Path, overrides: Sequence[str] = (), *, split: str = "test", out: str | Path | None = None
) -> dict[str, float]:
    """Score a checkpoint on a split.

    Args:
        ckpt: a checkpoint of this project.
        overrides: changes of its config; `data=...` exchanges the dataset.
        split: of the dataset.
        out: folder of the table; by default the checkpoint's run folder, else one below `runs/evaluate`.

    Returns:
        The scores of both protocols, as `test/mIoU` and `test_native/mIoU`.
    """
    checkpoint = read_checkpoint(ckpt)
    cfg = evaluation_config(checkpoint["sbanet"]["config"], overrides)
    L.seed_everything(cfg.seed, workers=True, verbose=False)
    model = segmenter_of(checkpoint, ckpt)
    datamodule = instantiate(cfg.data, tokenizer=model.text_encoder.tokenizer)
    datamodule.test_split = split
    task = ReferringSegmentation(
        model=model, loss=instantiate(cfg.loss), optim=instantiate(cfg.optim), seed=cfg.seed, config={}
    )
    folder = Path(out) if out is not None else output_folder(Path(ckpt), datamodule.name)
    table = PredictionTable(folder / "predictions", name=split + CONDITIONS[cfg.data.sentence])
    trainer = build_trainer(cfg.trainer, callbacks=[table], logger=False)
    trainer.test(task, datamodule=datamodule, verbose=False)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def evaluation_config(stored: dict[str, Any], overrides: Sequence[str]) -> DictConfig:
    """The config of a checkpoint with the user's changes.

    Raises:
        ConfigError: a change of something else than data or trainer, or of a key that is not there.
    """
    cfg = OmegaConf.create(stored)
    groups = [override for override in overrides if override.partition("=")[0] in GROUPS]
    if groups:
        composed = compose("train", groups)
        for override in groups:
            group = override.partition("=")[0]
            cfg[group] = composed[group]
    OmegaConf.set_struct(cfg, True)
    for change in OverridesParser.create().parse_overrides([o for o in overrides if o not in groups]):
        if change.key_or_group.partition(".")[0] not in GROUPS or "/" in change.key_or_group:
            raise ConfigError(
                f"{change.input_line}: an evaluation changes only data and trainer; the model is the checkpoint's"
            )
        OmegaConf.update(cfg, change.key_or_group, change.value())
    return cfg


def output_folder(ckpt: Path, dataset: str) -> Path:
    """The run folder that the checkpoint lies in, if it was trained on this dataset; else one of its own."""
    run = ckpt.resolve().parent.parent
    if (run / "run.json").is_file() and (facts := RunFolder(run).facts) and facts["dataset"]["name"] == dataset:
        return run
    return Path("runs") / "evaluate" / f"{ckpt.stem}-{dataset}"


def score_table(metrics: dict[str, float]) -> Table:
    """A row a protocol."""
    names = [name.removeprefix("test/") for name in metrics if name.startswith("test/") and "loss" not in name]
    table = Table(title="test")
    table.add_column("protocol")
    for name in names:
        table.add_column(name, justify="right")
    for protocol in PROTOCOLS:
        prefix = "test" if protocol == "network" else f"test_{protocol}"
        values = [metrics[f"{prefix}/{name}"] for name in names]
        cells = [f"{v:.0f}" if n in ("count", "empty") else f"{v:.4f}" for n, v in zip(names, values, strict=True)]
        table.add_row(protocol, *cells)
    return table


if __name__ == "__main__":
    main()
