"""`sbanet-check`: find every mistake in a config before a job waits in a queue for it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from sbanet.config import Problem, check, clear_errors
from sbanet.config.arguments import Arguments, argument_parser, read_arguments
from sbanet.config.faults import faulty_overrides
from sbanet.config.problems import problem_table
from sbanet.config.sweep import sweep_variants
from sbanet.console import console

FOUND_PROBLEMS = 1

_ABOUT = """Compose the config that sbanet-train would run, and check it without data or a GPU: missing
values, broken references, and every _target_ against its signature. Of a sweep (-m, or the sweep of an
experiment file) each value is checked once. The exit code is 0 for a sound config, 1 with problems, 2 where
nothing can be composed."""


@clear_errors()
def main(argv: Sequence[str] | None = None) -> None:
    """Check a config from the command line.

    Args:
        argv: the overrides and flags; `sys.argv` unless given.

    Raises:
        SystemExit: with the exit code.
    """
    parser = argument_parser(prog="sbanet-check", description=_ABOUT)
    arguments = read_arguments(parser, sys.argv[1:] if argv is None else argv)
    composed, problems = check_all(arguments)
    if problems:
        console().print(problem_table(problems))
        raise SystemExit(FOUND_PROBLEMS)
    what = " ".join(arguments.overrides) or "the default config"
    sweep = f" ({composed} variants of a sweep)" if composed > 1 else ""
    console().print(f"ok: {what}{sweep}", highlight=False, markup=False)


def check_all(arguments: Arguments) -> tuple[int, list[Problem]]:
    """Check the config of a command line, or each variant of its sweep.

    Overrides that cannot be composed are problems too; the rest is checked without them.

    Returns:
        How many configs were composed, and what is wrong with any of them.

    Raises:
        HydraException: nothing can be composed, whatever the overrides.
    """
    try:
        return _check_variants(arguments)
    except (HydraException, OmegaConfBaseException):
        sound, faults = faulty_overrides(arguments, "train")
        if not faults:
            raise
        composed, problems = _check_variants(sound)
        return composed, [*faults, *problems]


def _check_variants(arguments: Arguments) -> tuple[int, list[Problem]]:
    found: dict[Problem, None] = {}
    composed = 0
    for cfg in sweep_variants(arguments):
        composed += 1
        found.update(dict.fromkeys(check(cfg)))
    return composed, list(found)


if __name__ == "__main__":
    main()
