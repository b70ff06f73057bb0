"""How a prediction ends: a hit, or one of three ways to miss. They call for different remedies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sbanet.analysis.rows import Row
from sbanet.analysis.table import Cell, Column, Table
from sbanet.analysis.tables import PROTOCOLS, controls_of
from sbanet.scores import ious

OUTCOMES = {
    "hit": "the object meant, well outlined",
    "loose mask": "on the object meant, but the outline is off, or other things are marked with it",
    "wrong object": "a mask, but hardly any of it on the object meant",
    "nothing": "no mask to speak of",
}
"""Every outcome and what it means, best first."""


def outcomes(
    predictions: pd.DataFrame, protocol: str = "network", *, hit: float = 0.5, touched: float = 0.1
) -> pd.DataFrame:
    """The IoU and the outcome of every sample.

    A sample with IoU >= `hit` is a hit. Of the others, one whose mask is smaller than `touched` times the
    target found nothing; one that covers less than that share of the target marks the wrong object; the
    rest are loose. These areas are counted at the native size under either protocol.

    Args:
        predictions: the rows of a predictions file.
        protocol: whose I and U decide on a hit.
        hit: the least IoU of a hit.
        touched: the share of the target that parts a loose mask from another object.

    Returns:
        `iou` (float64) and `outcome` (a key of `OUTCOMES`) on the predictions' own index.
    """
    iou = ious(predictions[f"{protocol}_I"], predictions[f"{protocol}_U"])
    target = predictions["target_pixels"].to_numpy()
    covered = predictions["native_I"].to_numpy()
    # |prediction| = |union| - |target| + |intersection|: no mask has to be decoded.
    predicted = predictions["native_U"].to_numpy() - target + covered
    small = (predicted < touched * target) | (predicted == 0)
    elsewhere = covered <= touched * target
    outcome = np.select([iou >= hit, small, elsewhere], ["hit", "nothing", "wrong object"], "loose mask")
    return pd.DataFrame({"iou": iou, "outcome": outcome}, index=predictions.index)


def outcome_table(rows: Sequence[Row], protocol: str = "network") -> Table:
    """One line a row, one column an outcome, in percent of the samples, on average over the seeds."""
    columns = (Column("Model"), *(Column(outcome.capitalize(), "{:.1f}") for outcome in OUTCOMES))
    cells: list[tuple[Cell, ...]] = []
    for row in rows:
        seeds = [outcomes(frame, protocol)["outcome"].to_numpy() for frame in row.frames]
        shares = (np.mean([np.mean(ended == outcome) for ended in seeds]) for outcome in OUTCOMES)
        cells.append((row.name, *(100 * float(share) for share in shares)))
    meanings = "; ".join(f"{outcome}: {meaning}" for outcome, meaning in OUTCOMES.items())
    note = f"In percent of the samples; protocol {protocol}: {PROTOCOLS[protocol]}. {meanings.capitalize()}."
    return Table("How they end", note, columns, tuple(cells), controls_of(rows))
