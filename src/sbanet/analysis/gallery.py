"""The gallery: one card a sample, with the predictions of all models side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sbanet.analysis.outcomes import OUTCOMES, outcomes
from sbanet.analysis.pictures import choose, data_uri, decode, read_image
from sbanet.analysis.rows import Row
from sbanet.drawing import overlay


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
        rows: the first that has a sample tells its sentence and target; all that have it get a panel.
        protocol: whose IoU is shown.
    """

    def __init__(self, rows: Sequence[Row], protocol: str = "network") -> None:
        self.rows = tuple(rows)
        self.protocol = protocol
        judged = {row.name: row.predictions.join(outcomes(row.predictions, protocol)) for row in rows}
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

    def disagreements(self, count: int) -> Section | None:
        """The samples on which the rows' IoUs lie farthest apart; None for a single row."""
        ious = pd.concat([frame["iou"] for frame in self.frames.values()], axis=1, join="inner")
        if len(self.rows) < 2 or ious.empty:
            return None
        first = self.frames[self.rows[0].name]
        gap = pd.Series(np.ptp(ious.to_numpy(), axis=1), index=ious.index)
        gap = gap[first.loc[gap.index, "image"].isin(set(self.images))]
        order = gap.to_frame("gap").sort_values("gap", ascending=False, kind="stable")
        return Section(
            "Where they disagree",
            "The samples on which their IoUs lie farthest apart.",
            self.cards(order.index[:count]),
        )

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
