"""`sbanet-train`: train, keep the best checkpoint, score it on the test split.

What trains is imported where a run begins: a mistyped key and the process of a sweep (`-m`) do without torch.
"""

from __future__ import annotations

import sys

from omegaconf import DictConfig

from sbanet.config import clear_errors, program
from sbanet.config.arguments import guess_arguments
from sbanet.config.help import program_help
from sbanet.console import console
from sbanet.sweeps.multirun import Jobs, in_multirun, is_a_further_rank, stopping
from sbanet.sweeps.record import FINISHED, SKIPPED
from sbanet.sweeps.standing import standings
from sbanet.sweeps.table import job_table
from sbanet.training.run_id import register_resolvers

register_resolvers()

BEST = "best/val/mIoU"
"""What a run is judged by in a sweep."""

_ABOUT = """Train by a config, keep the best checkpoint, score it on the test split. The run's folder follows from the
overrides: the same command goes on with a run that was stopped, and leaves one that has finished as it is. With -m,
values separated by commas are a sweep, and its jobs run one after the other, or sweep.parallel side by side."""


def main() -> None:
    """Train by the command line; of a sweep (`-m`), every job, each in processes of its own."""
    with clear_errors("train"):
        if {"-h", "--help"} & set(sys.argv[1:]):
            sys.stdout.write(program_help("sbanet-train", _ABOUT, guess_arguments(sys.argv[1:]).own_configs))
            return
        if is_a_further_rank(sys.argv[1:]):
            return
    jobs = Jobs()

    @program("train")
    def task(cfg: DictConfig) -> float | None:
        if in_multirun():
            scores = jobs.run(cfg)
        else:
            from sbanet.running import train

            scores = train(cfg)
        return scores.get(BEST)  # for Hydra's sweepers

    with stopping(jobs):
        task()
    if records := jobs.finish():
        console().print(job_table(records, standings(records)))
        if any(record.status not in (FINISHED, SKIPPED) for record in records):
            sys.exit(1)


if __name__ == "__main__":
    main()
