"""Short names for rows: the experiment, and what a row changes in it that its neighbours do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sbanet.analysis.runs import Run
from sbanet.run_identity import changes_results, overrides_in
from sbanet.sweeps.record import read_records

UNNAMED = ("seed", "name", "experiment", "trainer")
"""Overrides that do not tell one row of an experiment from another."""


def distinct_names(groups: Sequence[Sequence[Run]]) -> list[str]:
    """A name for each group of runs, no two alike.

    A row that is alone in its experiment has the experiment's name. Of several, each is told by those of its
    overrides that not all of them share (`variant=no_bam`), behind the experiment's name where others are
    compared as well.
    """
    bases = [base_name(group[0]) for group in groups]
    changes = [overrides(group[0]) for group in groups]
    names = []
    for base, own in zip(bases, changes, strict=True):
        siblings = [other for other, named in zip(changes, bases, strict=True) if named == base]
        shared = set.intersection(*map(set, siblings))
        told = " ".join(change for change in own if change not in shared)
        several = len(set(bases)) > 1
        names.append(f"{base} {told}" if told and several else told or base)
    identified = [f"{name} ({group[0].facts['run_id']})" for name, group in zip(names, groups, strict=True)]
    located = [f"{name} ({group[0].folder})" for name, group in zip(names, groups, strict=True)]
    forms = (names, identified)
    return [
        next((form[index] for form in forms if Counter(form)[form[index]] == 1), located[index])
        for index in range(len(groups))
    ]


def base_name(run: Run) -> str:
    """The name that the user gave, or the experiment's: `sbanet-train` puts the run id behind it."""
    run_id = str(run.facts["run_id"])
    return str(run.facts.get("name") or run_id).removesuffix(f" {run_id}")


def overrides(run: Run) -> list[str]:
    """What the run's command changed, as far as it tells rows apart; nothing where nobody noted it."""
    record = read_records(run.folder.parent).get(run.folder.name)
    said = record.overrides if record else overrides_in(str(run.facts["run_id"])) or []
    keys = [(change.partition("=")[0].lstrip("+~"), change) for change in said]
    return sorted(change for key, change in keys if key not in UNNAMED and changes_results(key))
