"""Scoring a checkpoint on a split, by both protocols, and writing the table of its answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.table import Table

from sbanet.config import compose, require_sound
from sbanet.config.suggest import did_you_mean
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

SAME_TABLE = ("sentence", "num_workers", "eval_batch_size", "root", "cache", "check", "published")
"""Keys of `data` that leave a run's own table what it is, or give it another name."""


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

    Raises:
        CheckpointError: the checkpoint cannot be used.
        ConfigError: an override cannot be used.
        DataError: there is no such split, or its data are damaged.
    """
    checkpoint = read_checkpoint(ckpt)
    stored = checkpoint["sbanet"]["config"]
    cfg = evaluation_config(stored, overrides)
    L.seed_everything(cfg.seed, workers=True, verbose=False)
    model = segmenter_of(checkpoint, ckpt)
    datamodule = instantiate(cfg.data, **model.input_format())
    datamodule.test_split = split
    task = ReferringSegmentation(
        model=model, loss=instantiate(cfg.loss), optim=instantiate(cfg.optim), seed=cfg.seed, config={}
    )
    folder = Path(out) if out is not None else output_folder(Path(ckpt), datamodule.name, same_samples(stored, cfg))
    table = PredictionTable(folder / "predictions", name=split + CONDITIONS[cfg.data.sentence])
    trainer = build_trainer(cfg.trainer, callbacks=[table], logger=False)
    trainer.test(task, datamodule=datamodule, verbose=False)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def evaluation_config(stored: dict[str, Any], overrides: Sequence[str]) -> DictConfig:
    """The config of a checkpoint with the user's changes.

    Raises:
        ConfigError: a change of something else than data or trainer, of a key that is not there, or to a value
            that does not fit.
    """
    cfg = OmegaConf.create(stored)
    if cfg.data.get("cache") and not Path(cfg.data.cache).is_dir():  # trained on another machine
        # scenes must be drawn somewhere; images can be read where they are
        cfg.data.cache = compose("train").paths.cache if "scenes" in cfg.data else None
    groups = [override for override in overrides if override.partition("=")[0] in GROUPS]
    if groups:
        composed = compose("train", groups)
        for override in groups:
            group = override.partition("=")[0]
            cfg[group] = composed[group]
    OmegaConf.set_struct(cfg, True)
    for change in OverridesParser.create().parse_overrides([o for o in overrides if o not in groups]):
        _apply(change, cfg)
    if cfg.data.sentence not in CONDITIONS:
        raise ConfigError(f"data.sentence={cfg.data.sentence}: expected {', '.join(CONDITIONS)}")
    for group in GROUPS:  # one by one: what they ask of each other concerns training
        require_sound(OmegaConf.masked_copy(cfg, [group, "seed", "paths"]))
    return cfg


def _apply(change: Override, cfg: DictConfig) -> None:
    key = "data.cache" if change.key_or_group == "paths.cache" else change.key_or_group
    if key.partition(".")[0] not in GROUPS or "/" in key:
        raise ConfigError(
            f"{change.input_line}: an evaluation changes only data and trainer; the model is the checkpoint's"
        )
    if change.is_delete() or change.is_sweep_override():
        raise ConfigError(f"{change.input_line}: expected {key}=<one value>")
    try:
        OmegaConf.update(cfg, key, change.value())
    except OmegaConfBaseException as error:
        parent, _, name = key.rpartition(".")
        node = OmegaConf.select(cfg, parent, throw_on_resolution_failure=False)
        known = sorted(map(str, node)) if isinstance(node, DictConfig) else []
        known = [other for other in known if not other.startswith("_")]
        hint = did_you_mean(name, known) or f"; known: {', '.join(known) or 'none below ' + parent}"
        raise ConfigError(f"there is no key '{key}' in the checkpoint's config{hint}") from error


def same_samples(stored: dict[str, Any], cfg: DictConfig) -> bool:
    """Whether an evaluation scores the samples that the run's own test scores, as it sees them."""
    before, now = stored["data"], OmegaConf.to_container(cfg.data, resolve=True)
    assert isinstance(now, dict)
    differing = {key for key in before.keys() | now.keys() if before.get(key) != now.get(key)}
    limit = "limit_test_batches"
    return differing <= set(SAME_TABLE) and stored["trainer"].get(limit) == cfg.trainer.get(limit)


def output_folder(ckpt: Path, dataset: str, same: bool) -> Path:
    """The run folder that the checkpoint lies in, if the table is of its own samples; else one of its own."""
    run = ckpt.resolve().parent.parent
    facts = RunFolder(run).facts if (run / "run.json").is_file() else None
    if facts and same and facts["dataset"]["name"] == dataset:
        return run
    trained = f"{run.parent.name}-{run.name}-" if facts else ""
    return Path("runs") / "evaluate" / f"{trained}{ckpt.stem}-{dataset}"


def score_table(metrics: dict[str, float], title: str) -> Table:
    """A row a protocol."""
    names = [name.removeprefix("test/") for name in metrics if name.startswith("test/") and "loss" not in name]
    table = Table(title=title)
    table.add_column("protocol")
    for name in names:
        table.add_column(name, justify="right")
    for protocol in PROTOCOLS:
        prefix = "test" if protocol == "network" else f"test_{protocol}"
        values = [metrics[f"{prefix}/{name}"] for name in names]
        cells = [f"{v:.0f}" if n in ("count", "empty") else f"{v:.4f}" for n, v in zip(names, values, strict=True)]
        table.add_row(protocol, *cells)
    return table
