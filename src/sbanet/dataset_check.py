"""The action `check` of `sbanet-data`: a dataset's findings as a table, as JSON, and as an exit code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from sbanet.data.checks import Datasets, Finding, Tokenizer, check_annotations, check_pixels, check_sentences
from sbanet.data.datamodules import ReferringDataModule
from sbanet.data.datasets import RecordDataset
from sbanet.errors import DataError
from sbanet.models.text_encoders.pretrained import PretrainedTokenizer, open_tokenizer
from sbanet.models.weights import WeightsError


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a check found.

    Attributes:
        dataset: its name.
        counts: samples of each split that could be read.
        published: samples of each split, as the authors publish it; empty where nobody does.
        findings: what is wrong.
        unchecked: what could not be looked at, and why.
    """

    dataset: str
    counts: dict[str, int]
    published: Mapping[str, int]
    findings: list[Finding]
    unchecked: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether no finding changes numbers."""
        return all(finding.severity != "numbers" for finding in self.findings)

    def json(self) -> str:
        """All of it."""
        return json.dumps(asdict(self) | {"sound": self.sound}, indent=2, ensure_ascii=False)

    def print(self, console: Console) -> None:
        """A table of the splits, one of the findings, and what was not checked."""
        splits = Table(title=self.dataset)
        for column in ("split", "samples", "published"):
            splits.add_column(column, justify="left" if column == "split" else "right")
        for split, count in self.counts.items():
            splits.add_row(split, f"{count:,}", f"{self.published[split]:,}" if split in self.published else "unknown")
        console.print(splits)
        if self.findings:
            console.print(findings_table(self.findings))
        for reason in self.unchecked:
            console.print(f"not checked: {reason}", highlight=False, markup=False)
        if self.sound:
            console.print("ok: nothing that changes numbers", highlight=False)


def check_dataset(cfg: DictConfig, *, pixels: bool) -> Outcome:
    """Check all splits of the dataset of a training config.

    Args:
        cfg: with `data`, and the text encoder that its sentences are for.
        pixels: whether to read every image and mask.
    """
    datamodule: ReferringDataModule = instantiate(cfg.data, tokenizer=None)
    datasets, findings = read_splits(datamodule)
    findings += check_annotations(datasets, datamodule.published)
    unchecked = []
    try:
        findings += check_sentences(datasets, tokenizer_of(cfg.model.text_encoder))
    except WeightsError as error:
        unchecked.append(f"cut sentences and unknown words ({error})")
    if pixels:
        findings += _check_pixels(datasets)
    else:
        unchecked.append("images and masks (pixels=false)")
    return Outcome(
        dataset=str(datamodule.name),
        counts={split: len(dataset) for split, dataset in datasets.items()},
        published=datamodule.published,
        findings=findings,
        unchecked=unchecked,
    )


def read_splits(datamodule: ReferringDataModule) -> tuple[dict[str, RecordDataset], list[Finding]]:
    """The splits that can be read, and a finding for each that cannot."""
    datasets: dict[str, RecordDataset] = {}
    findings = []
    for split in datamodule.splits:
        try:
            datasets[split] = datamodule.dataset(split)
        except DataError as error:
            findings.append(
                Finding(
                    kind="annotations that cannot be read",
                    severity="numbers",
                    split=split,
                    count=1,
                    where=(str(error),),
                    remedy="mend what the line says",
                )
            )
    return datasets, findings


def tokenizer_of(text_encoder: DictConfig) -> Tokenizer:
    """The tokenizer that a text encoder's config names; the encoder is not built.

    Raises:
        WeightsError: its files cannot be had.
    """
    if "tokenizer" in text_encoder:
        return instantiate(text_encoder.tokenizer)
    return PretrainedTokenizer(open_tokenizer(text_encoder.source), max_tokens=text_encoder.max_tokens)


def _check_pixels(datasets: Datasets) -> list[Finding]:
    terminal = Console(stderr=True)
    total = sum(len(dataset) for dataset in datasets.values())
    with Progress(console=terminal, disable=not terminal.is_terminal, transient=True) as progress:
        task = progress.add_task("pixels", total=total)
        return check_pixels(datasets, seen=lambda: progress.advance(task))


def findings_table(findings: list[Finding]) -> Table:
    """A row a finding."""
    table = Table(title=f"{len(findings)} finding{'s' * (len(findings) != 1)}")
    for column in ("split", "finding", "times", "changes numbers", "where", "remedy"):
        table.add_column(column, justify="right" if column == "times" else "left", overflow="fold")
    for finding in findings:
        changes = "yes" if finding.severity == "numbers" else "no"
        where = "\n".join(finding.where) + "\n..." * (finding.count > len(finding.where))
        table.add_row(finding.split, finding.kind, f"{finding.count:,}", changes, where, finding.remedy)
    return table
