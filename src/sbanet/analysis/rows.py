"""What is compared: a row is a name and one predictions file of a run.

An evaluation under another condition (the sentence of another object) is one more row, not a special case.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from sbanet.analysis.runs import Run


@dataclass(frozen=True)
class Row:
    """The predictions of one run under one condition.

    Attributes:
        name: what tables and legends call it.
        run: whose predictions; also where parameters and speed come from.
        file: which predictions file: a split, or a split and a condition.
        control: not a competitor but a check of one: never the best, and not a model of its own.
    """

    name: str
    run: Run
    file: str = "test"
    control: bool = False

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """The rows of the predictions file (see `Run.predictions`)."""
        return self.run.predictions(self.file)


def rows_of(runs: Sequence[Run], split: str = "test") -> list[Row]:
    """A row for the split of every run, and one for each condition that the split was evaluated under.

    Args:
        runs: in the order of the rows.
        split: names the predictions file; `<split>_<condition>` beside it becomes a control.

    Returns:
        The runs' own rows, then the controls; names are told apart by seed, else by run id.
    """
    names = _distinct_names(runs)
    own = [Row(name, run, split) for name, run in zip(names, runs, strict=True)]
    controls = [
        Row(f"{row.name}, {file.removeprefix(split + '_').replace('_', ' ')}", row.run, file, control=True)
        for row in own
        for file in row.run.prediction_files()
        if file.startswith(f"{split}_")
    ]
    return own + controls


def _distinct_names(runs: Sequence[Run]) -> list[str]:
    """The runs' names; where two share one, with the least that tells them apart."""
    plain = [run.name for run in runs]
    seeded = [f"{run.name} (seed {run.facts.get('seed')})" for run in runs]
    spelled = [f"{run.name} ({run.facts['run_id']})" for run in runs]
    located = [f"{run.name} ({run.folder})" for run in runs]
    names = []
    for index in range(len(runs)):
        forms = [form for form in (plain, seeded, spelled) if Counter(form)[form[index]] == 1]
        names.append((forms[0] if forms else located)[index])
    return names
