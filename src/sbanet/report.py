"""`sbanet-report`: run folders in, a table on the terminal and a page out.

Imports of the analysis are local, so that `--help` and a mistyped key answer at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sbanet.analysis.rows import Row
    from sbanet.analysis.tables import Table

HELP = """\
Usage: sbanet-report RUN... [key=value ...]

Compares runs: prints a table and writes a page with curves, breakdowns and pictures.
RUN is the folder of a run, or a folder with runs anywhere below it.

Keys (a value is what follows the first "=", taken literally):
  out=report.html     where the page goes; other formats get the same name with their own ending
  split=test          whose predictions: predictions/<split>.parquet of every run; files named
                      <split>_<condition>.parquet beside it become control rows
  protocol=network    network (masks at the network's size, as papers report) or native (at the image's own)
  format=html         html, markdown, or both: html,markdown
  title=...           the heading of the page
  pictures=3          samples of each outcome to show for each run; 0 for none

Example:
  sbanet-report runs/aeroscenes_sbanet runs/aeroscenes_pwam out=runs/demo/index.html format=html,markdown
"""

FORMATS = ("html", "markdown")


class UsageError(ValueError):
    """The command line asks for something that does not exist; the message says what does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The command line, checked; every field but `folders` is a key of it."""

    folders: tuple[Path, ...] = ()
    out: Path = Path("report.html")
    split: str = "test"
    protocol: str = "network"
    format: tuple[str, ...] = ("html",)
    title: str = "Comparison of runs"
    pictures: int = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: the arguments; those of the process where None.

    Returns:
        The exit code: 0, or 2 for a wrong command line or a broken run folder (one line on stderr).
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or {"-h", "--help"} & set(arguments):
        sys.stdout.write(HELP)
        return 0 if arguments else 2
    try:
        options = parse(arguments)
    except UsageError as error:
        return _refuse(error)
    from sbanet.analysis.runs import RunFolderError

    try:
        report(options)
    except (RunFolderError, OSError) as error:
        return _refuse(error)
    return 0


def _refuse(error: Exception) -> int:
    sys.stderr.write(f"sbanet-report: {error}\n")
    return 2


def parse(arguments: Sequence[str]) -> Options:
    """Arguments as options.

    An argument is an option where a known key stands before its first `=`; else it is a folder, if there
    is one of that name (`runs/lr=0.1`).

    Raises:
        UsageError: an unknown key, a value that its key cannot take, or no folder.
    """
    options: dict[str, Any] = {}
    folders: list[Path] = []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if equals and key in READERS:
            options[key] = READERS[key](value)
        elif equals and not Path(argument).exists():
            raise UsageError(f"unknown key {key!r} in {argument!r}; known: {', '.join(READERS)}")
        elif argument.startswith("-"):
            raise UsageError(f"unknown option {argument!r}; keys are written key=value: {', '.join(READERS)}")
        else:
            folders.append(Path(argument))
    if not folders:
        raise UsageError("no run folder given; expected at least one, for example: sbanet-report runs")
    return Options(folders=tuple(folders), **options)


def report(options: Options) -> None:
    """Reads the runs, prints the comparison and writes the files.

    Raises:
        RunFolderError: a folder is missing, or no run in them has predictions for the split.
    """
    from sbanet.console import console

    out = console()
    rows, left_out = _rows(options)
    tables = _tables(rows, options.protocol)
    for table in tables[:2]:
        out.print(table.rich())
    for reason in left_out:
        sys.stderr.write(f"sbanet-report: left out: {reason}\n")
    written = []
    if "html" in options.format:
        from sbanet.analysis.page import write_page

        page = write_page(
            _named(options.out, ".html"),
            rows,
            title=options.title,
            protocol=options.protocol,
            pictures=options.pictures,
            remarks=[f"Left out: {reason}" for reason in left_out],
        )
        written.append(page)
    if "markdown" in options.format:
        path = _named(options.out, ".md")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(table.markdown() for table in tables), encoding="utf-8")
        written.append(path)
    for path in written:
        out.print(f"Wrote {path}", markup=False, highlight=False, soft_wrap=True)


def _tables(rows: Sequence[Row], protocol: str) -> list[Table]:
    """Every table of the report; the terminal shows the first two."""
    from sbanet.analysis.groups import by_category, by_length, by_size, by_skill
    from sbanet.analysis.outcomes import outcome_table
    from sbanet.analysis.tables import breakdown, comparison

    groupings = {"Skill": by_skill, "Size": by_size, "Words": by_length, "Category": by_category}
    broken_down = [breakdown(rows, grouping, title, protocol) for title, grouping in groupings.items()]
    return [comparison(rows, protocol), *broken_down, outcome_table(rows, protocol)]


def _named(out: Path, suffix: str) -> Path:
    """The name with a format's ending; only an ending of ours is replaced (`runs/v1.2` keeps its dot)."""
    return out.with_suffix(suffix) if out.suffix in (".html", ".md") else out.with_name(out.name + suffix)


def _rows(options: Options) -> tuple[list[Row], list[str]]:
    """The rows of all runs that have the split, and why the others are left out."""
    from sbanet.analysis.rows import rows_of
    from sbanet.analysis.runs import RunFolderError, find_runs

    whole, reasons = [], []
    for run in find_runs(options.folders):
        try:
            run.predictions(options.split)
            _ = run.facts
            whole.append(run)
        except RunFolderError as error:
            reasons.append(str(error))
    if not whole:
        raise RunFolderError(reasons[0])
    return rows_of(whole, options.split), reasons


def _one_of(key: str, known: Sequence[str]) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value not in known:
            raise UsageError(f"{key}: got {value!r}, expected one of {', '.join(known)}")
        return value

    return read


def _formats(value: str) -> tuple[str, ...]:
    return tuple(_one_of("format", FORMATS)(name.strip()) for name in value.split(","))


def _count(value: str) -> int:
    if not value.isdecimal():
        raise UsageError(f"pictures: got {value!r}, expected a number of samples, 0 or more")
    return int(value)


READERS: dict[str, Callable[[str], object]] = {
    "out": Path,
    "split": str,
    "protocol": _one_of("protocol", ("network", "native")),
    "format": _formats,
    "title": str,
    "pictures": _count,
}
"""Key -> how its value is read."""

if __name__ == "__main__":
    sys.exit(main())
