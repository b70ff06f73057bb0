"""What can be wrong with a dataset: with its annotations, its sentences, its pixels.

A check returns findings and raises nothing: whatever is wrong with one sample, the others are looked at too.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from sbanet.data.datasets import RecordDataset
from sbanet.data.records import Record
from sbanet.errors import DataError

Datasets = Mapping[str, RecordDataset]
"""The splits of a dataset by name."""

SHOWN = 5
"""Most places that a finding names."""

LEARNING = "train"
"""The split that no other may share an image with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One kind of thing that is wrong, wherever it is.

    Attributes:
        kind: in a few words, the same for all datasets.
        severity: `numbers` = scores with it compare with nobody's; `note` = worth knowing.
        split: where; empty where it concerns several.
        count: how often.
        where: the first few places: files, samples, words.
        remedy: what to do.
    """

    kind: str
    severity: Literal["numbers", "note"]
    split: str
    count: int
    where: tuple[str, ...]
    remedy: str

    def __str__(self) -> str:
        of_split = f"{self.split}: " if self.split else ""
        more = ", ..." if self.count > len(self.where) else ""
        return f"{of_split}{self.kind} ({self.count}): {', '.join(self.where)}{more}; {self.remedy}"


class Tokenizer(Protocol):
    """What the sentences' check asks of a tokenizer."""

    max_tokens: int

    def count(self, expression: str) -> int:
        """How many tokens the sentence has before any truncation."""

    def unknown(self, expression: str) -> list[str]:
        """The words of a sentence that it does not know."""


def check_annotations(datasets: Datasets, published: Mapping[str, int]) -> list[Finding]:
    """Counts, ids, empty sentences, missing files, shared images: all that needs no pixel; about a second for 20,000.

    Args:
        datasets: the splits.
        published: the number of samples of splits, as the authors publish it.
    """
    findings: list[Finding | None] = []
    for split, dataset in datasets.items():
        count = len(dataset)
        if split in published and count != published[split]:
            differs = f"{count:,} samples, published are {published[split]:,}"
            findings.append(_found("another number of samples", split, [differs], "download the annotations anew"))
        ids = Counter(record.sample_id for record in dataset.records)
        twice = [f"{sample} ({times} times)" for sample, times in ids.items() if times > 1]
        findings.append(_found("an id more than once", split, twice, "keep one sample of each id"))
        empty = [record.sample_id for record in dataset.records if not record.expression.strip()]
        findings.append(_found("an empty sentence", split, empty, "write one, or remove the sample"))
        missing = [str(path) for path in missing_files(dataset)]
        findings.append(_found("a missing file", split, missing, "complete the download, or correct data.root"))
    images = {split: {path: str(path) for path in image_files(dataset)} for split, dataset in datasets.items()}
    findings += _shared(images, "an image of train here, too")
    return [finding for finding in findings if finding]


def check_sentences(datasets: Datasets, tokenizer: Tokenizer) -> list[Finding]:
    """Sentences that a text encoder reads in part: cut by its limit, or with words that it does not know."""
    findings: list[Finding | None] = []
    for split, dataset in datasets.items():
        spoken = Counter(record.expression for record in dataset.records)
        cut = [text for text in spoken if tokenizer.count(text) > tokenizer.max_tokens]
        limit = f"the limit is {tokenizer.max_tokens} tokens: raise the text encoder's max_tokens, or say so"
        findings.append(_found("a sentence that is cut", split, cut, limit, severity="note"))
        unknown = Counter(word for text, times in spoken.items() for word in tokenizer.unknown(text) * times)
        words = [word for word, _ in unknown.most_common()]
        other = "choose a text encoder that knows them; they are all one word to this"
        findings.append(_found("a word unknown to the tokenizer", split, words, other, severity="note"))
    return [finding for finding in findings if finding]


def check_pixels(datasets: Datasets, seen: Callable[[], None] = lambda: None) -> list[Finding]:
    """Files that cannot be read, masks that are empty or do not fit, images of equal content in train and elsewhere.

    Args:
        datasets: the splits.
        seen: called after each sample.
    """
    findings: list[Finding | None] = []
    contents: dict[str, dict[str, str]] = {}
    for split, dataset in datasets.items():
        unreadable: dict[str, None] = {}
        empty = []
        digests = contents.setdefault(split, {})
        for record in dataset.records:
            try:
                image, mask = dataset.pixels(record)
                if image.shape[:2] != mask.shape:
                    raise DataError(f"{_name(dataset, record)}: image {image.shape[:2]}, mask {mask.shape}")
            except DataError as error:
                unreadable.setdefault(str(error))
            else:
                if not mask.any():
                    empty.append(f"{record.sample_id} of {_name(dataset, record)}")
                digests.setdefault(_digest(image), _name(dataset, record))
            seen()
        replace = "replace the files by intact ones"
        findings.append(_found("image or mask that cannot be used", split, list(unreadable), replace))
        findings.append(_found("an empty mask", split, empty, "correct the mask, or remove the sample"))
    findings += _shared(contents, "the content of a train image here, too")
    return [finding for finding in findings if finding]


def require_sound(name: str, datasets: Datasets, published: Mapping[str, int]) -> None:
    """Refuse annotations that change numbers.

    Raises:
        DataError: with the findings in one line.
    """
    found = [str(one) for one in check_annotations(datasets, published) if one.severity == "numbers"]
    if found:
        rest = f"; and {len(found) - 2} more findings" if len(found) > 2 else ""
        raise DataError(
            f"{name}: {' | '.join(found[:2])}{rest}; see sbanet-data check, or train all the same by data.check=false"
        )


def image_files(dataset: RecordDataset) -> Iterator[Path]:
    """The files of the images, each once."""
    yield from dict.fromkeys(files[0] for record in dataset.records if (files := dataset.files(record)))


def missing_files(dataset: RecordDataset) -> Iterator[Path]:
    """The files of pixels that are not there; every folder is listed once, which is faster than asking for each."""
    listed: dict[Path, set[str]] = {}
    for path in dict.fromkeys(path for record in dataset.records for path in dataset.files(record)):
        if path.parent not in listed:
            listed[path.parent] = _listing(path.parent)
        if path.name not in listed[path.parent]:
            yield path


def _listing(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))  # noqa: PTH208  # names alone are wanted, and fast
    except OSError:
        return set()


def _shared(images: Mapping[str, Mapping[Any, str]], kind: str) -> Iterator[Finding | None]:
    """Images of the learning split in others, by any key of theirs; one in several findings if in several splits."""
    learnt = images.get(LEARNING, {})
    for split, others in images.items():
        if split != LEARNING:
            places = [
                name if name == learnt[key] else f"{name} = {learnt[key]}"
                for key, name in others.items()
                if key in learnt
            ]
            yield _found(kind, split, places, f"remove them from {LEARNING}")


def _found(
    kind: str, split: str, places: Sequence[str], remedy: str, severity: Literal["numbers", "note"] = "numbers"
) -> Finding | None:
    if not places:
        return None
    return Finding(
        kind=kind, severity=severity, split=split, count=len(places), where=tuple(places[:SHOWN]), remedy=remedy
    )


def _name(dataset: RecordDataset, record: Record) -> str:
    files = dataset.files(record)
    return str(files[0]) if files else f"image {record.image}"


def _digest(image: np.ndarray) -> str:
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).hexdigest() + str(image.shape)
