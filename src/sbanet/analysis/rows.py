"""What is compared: a row is a name and one predictions file of some runs that differ only in their seeds.

An evaluation under another condition (the sentence of another object) is one more row, not a special case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from sbanet.analysis.naming import distinct_names
from sbanet.analysis.runs import Run
from sbanet.errors import SbanetError
from sbanet.run_identity import without_seed


class RowNameError(SbanetError, ValueError):
    """A name that is no row's, or that fits several; the message lists those that are there."""


@dataclass(frozen=True)
class Row:
    """The predictions of a model, trained with one seed or several, under one condition.

    Attributes:
        name: what tables and legends call it.
        runs: one a seed; parameters and multiply-adds are those of the first.
        file: which predictions file: a split, or a split and a condition.
        control: not a competitor but a check of one: never the best, and not a model of its own.
    """

    name: str
    runs: tuple[Run, ...]
    file: str = "test"
    control: bool = False

    @property
    def run(self) -> Run:
        """The first run, whose pictures are shown."""
        return self.runs[0]

    @cached_property
    def frames(self) -> tuple[pd.DataFrame, ...]:
        """The predictions file of each run, without the masks (see `Run.predictions`)."""
        return tuple(run.predictions(self.file, masks=False) for run in self.runs)

    @property
    def predictions(self) -> pd.DataFrame:
        """The predictions file of the first run, without the masks."""
        return self.frames[0]

    def covers(self, samples: pd.DataFrame, key: int) -> bool:
        """Whether every run is over just these samples, in any order.

        Args:
            samples: with `sample_id`.
            key: theirs, of `Run.samples_key`.
        """
        return all(
            run.samples_key(self.file) == key or set(frame["sample_id"]) == set(samples["sample_id"])
            for run, frame in zip(self.runs, self.frames, strict=True)
        )

    def counts(self, protocol: str) -> list[tuple[np.ndarray, np.ndarray]]:
        """(I, U) of each run, over its samples in the order of its file.

        Args:
            protocol: `network` or `native`.
        """
        return [(frame[f"{protocol}_I"].to_numpy(), frame[f"{protocol}_U"].to_numpy()) for frame in self.frames]

    def same_samples(self, other: Row) -> bool:
        """Whether two rows are over the same samples in the same order, and say the same of them."""
        return self.run.samples_key(self.file) == other.run.samples_key(other.file)


def rows_of(runs: Sequence[Run], split: str = "test") -> list[Row]:
    """A row for the split of all runs of one config, and one for each condition that it was evaluated under.

    Args:
        runs: in the order of the rows.
        split: names the predictions file; `<split>_<condition>` beside it becomes a control.

    Returns:
        The models' own rows, then the controls.
    """
    groups = seeds_together(runs)
    own = [Row(name, group, split) for name, group in zip(distinct_names(groups), groups, strict=True)]
    return own + [control for row in own for control in _controls(row, split)]


def find_row(rows: Sequence[Row], name: str) -> Row:
    """The model of that name, or the only one whose name holds it (`rmsin` of `rmsin_rrsisd`).

    Raises:
        RowNameError: there is none, or several.
    """
    models = [row for row in rows if not row.control]
    found = [row for row in models if row.name == name] or [
        row for row in models if name.casefold() in row.name.casefold()
    ]
    if len(found) != 1:
        several = "several rows hold" if found else "no row holds"
        known = "; ".join(row.name for row in found or models)
        raise RowNameError(f"{several} {name!r} in their names, expected one of: {known}")
    return found[0]


def seeds_together(runs: Sequence[Run]) -> list[tuple[Run, ...]]:
    """The runs of each config, by rising seed; a seed that comes a second time begins another group."""
    groups: dict[frozenset, list[dict[object, Run]]] = {}
    order: list[dict[object, Run]] = []
    for run in runs:
        config = run.facts.get("config")
        # Runs that do not say what they computed are not taken for repetitions of each other.
        key = frozenset((without_seed(config) if config else {"folder": str(run.folder)}).items())
        group, seed = groups.setdefault(key, []), run.facts.get("seed")
        if not group or seed in group[-1]:
            group.append({})
            order.append(group[-1])
        group[-1][seed] = run
    return [tuple(seeded[seed] for seed in sorted(seeded, key=_as_number)) for seeded in order]


def _as_number(seed: object) -> tuple[float, str]:
    return (float(seed) if isinstance(seed, int | float) else 0.0, str(seed))


def _controls(row: Row, split: str) -> list[Row]:
    """A control a condition, over those of the row's runs that were evaluated under it."""
    runs: dict[str, list[Run]] = {}
    for run in row.runs:
        for file in run.prediction_files():
            if file.startswith(f"{split}_"):
                runs.setdefault(file, []).append(run)
    return [
        Row(f"{row.name}, {file.removeprefix(split + '_').replace('_', ' ')}", tuple(having), file, control=True)
        for file, having in sorted(runs.items())
    ]
