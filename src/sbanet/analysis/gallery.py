"""The gallery: one card a sample, with the predictions of all models side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from sbanet.analysis.outcomes import OUTCOMES, outcomes
from sbanet.analysis.pictures import choose, data_uri, decode, read_image
from sbanet.analysis.rows import Row
from sbanet.drawing import overlay
from sbanet.scores import ious


@dataclass(frozen=True, slots=True)
class Panel:
    """One prediction of a card.

    Attributes:
        name: the row's.
        picture: a `data:` address.
        iou: in [0, 1], under the page's protocol.
        outcome: a key of `OUTCOMES`.
        expression: the sentence that was asked where it is not the card's, else None.
    """

    name: str
    picture: str
    iou: float
    outcome: str
    expression: str | None


@dataclass(frozen=True, slots=True)
class Card:
    """One sample: what was meant, and what every row made of it. `share` is of the image, in percent."""

    sample_id: str
    expression: str
    category: str
    tags: tuple[str, ...]
    share: float
    target: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A headed group of cards."""

    title: str
    text: str
    cards: tuple[Card, ...]


TITLES = {
    "hit": "Hits",
    "loose mask": "Loose masks",
    "wrong object": "Wrong objects",
    "nothing": "Nothing found",
}


class Gallery:
    """Makes cards for samples of some rows.

    Args:
        rows: the first that has a sample tells its sentence and target; all that have it get a panel, which shows
            the first of the row's seeds.
        protocol: whose IoU is shown.
    """

    def __init__(self, rows: Sequence[Row], protocol: str = "network") -> None:
        self.rows = tuple(rows)
        self.protocol = protocol
        answers = {row.name: row.run.predictions(row.file) for row in rows}
        judged = {name: frame.join(outcomes(frame, protocol)) for name, frame in answers.items()}
        self.frames = {name: frame.set_index("sample_id", drop=False) for name, frame in judged.items()}
        self.images = {
            image: path
            for run in {row.run.folder: row.run for row in rows}.values()
            for image in pd.unique(pd.concat([row.predictions["image"] for row in rows]))
            if (path := run.thumbnail(image)) is not None
        }

    def card(self, sample_id: str) -> Card:
        """The card of one sample, whose image must have a thumbnail."""
        having = [row for row in self.rows if sample_id in self.frames[row.name].index]
        facts = self.frames[having[0].name].loc[sample_id]
        image = read_image(self.images[facts["image"]])
        target = decode(facts["target_rle"], facts["height"], facts["width"])
        panels = []
        for row in having:
            sample = self.frames[row.name].loc[sample_id]
            prediction = decode(sample["prediction_rle"], sample["height"], sample["width"])
            asked = sample["expression"] if sample["expression"] != facts["expression"] else None
            picture = data_uri(overlay(image, target, prediction))
            panels.append(Panel(row.name, picture, float(sample["iou"]), sample["outcome"], asked))
        share = 100 * facts["target_pixels"] / (facts["height"] * facts["width"])
        shown = data_uri(overlay(image, target))
        return Card(
            sample_id=sample_id,
            expression=facts["expression"],
            category=facts["category"],
            tags=facts["tags"],
            share=float(share),
            target=shown,
            panels=tuple(panels),
        )

    def cards(self, samples: Iterable[str]) -> tuple[Card, ...]:
        """Cards in the samples' order, each once."""
        return tuple(self.card(sample) for sample in dict.fromkeys(samples))

    def by_outcome(self, count: int) -> list[Section]:
        """Hits and each kind of miss, `count` chosen for every row; no sample is shown twice."""
        chosen = [choose(row.predictions, self.images, count, self.protocol) for row in self.rows]
        shown: set[str] = set()
        sections = []
        for outcome, meaning in OUTCOMES.items():
            samples = [sample for choice in chosen for sample in choice[outcome] if sample not in shown]
            shown.update(samples)
            if samples:
                sections.append(Section(TITLES[outcome], f"{meaning.capitalize()}.", self.cards(samples)))
        return sections

    def disagreements(self, count: int) -> list[Section]:
        """The samples on which the first two rows lie farthest apart, for each the ones where it is ahead.

        The IoUs of a row are averaged over its seeds, so that one seed's bad luck is not taken for a difference.
        """
        if len(self.rows) < 2:
            return []
        first, second = self.rows[:2]
        gap = (self._mean_ious(first) - self._mean_ious(second)).dropna()
        gap = gap[self.frames[first.name]["image"].reindex(gap.index).isin(set(self.images))]
        seeds = " averaged over the seeds" if max(len(first.runs), len(second.runs)) > 1 else ""
        sections = []
        for ahead, behind, lead in ((first, second, gap), (second, first, -gap)):
            order = lead[lead > 0].sort_values(ascending=False, kind="stable")
            text = f"The samples on which the IoU{seeds} of {ahead.name} lies farthest above that of {behind.name}."
            if len(order):
                title = f"Where they disagree: {ahead.name} ahead of {behind.name}"
                sections.append(Section(title, text, self.cards(order.index[:count])))
        return sections

    def _mean_ious(self, row: Row) -> pd.Series:
        """By sample id, for the samples that all seeds have."""
        seeds = [
            pd.Series(ious(*counts), index=frame["sample_id"])
            for frame, counts in zip(row.frames, row.counts(self.protocol), strict=True)
        ]
        return pd.concat(seeds, axis=1, join="inner").mean(axis=1)

    def controls(self, count: int) -> Section | None:
        """For the hits of the first row: what the same model answers to another sentence."""
        if len(self.rows) < 2:
            return None
        own = self.rows[0].predictions
        asked_twice = own[own["sample_id"].isin(self.rows[1].predictions["sample_id"])]
        samples = choose(asked_twice, self.images, count, self.protocol)["hit"]
        if not samples:
            return None
        return Section(
            "Another sentence",
            "Hits, and what the same model marks when it is asked for another object of the image. The score "
            "still counts the first object, so a model that listens scores low here.",
            self.cards(samples),
        )
