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
    from sbanet.analysis.contents import Contents
    from sbanet.analysis.rows import Row

HELP = """\
Usage: sbanet-report RUN... [key=value ...]

Compares runs: prints tables and writes a page with curves, breakdowns and pictures.
RUN is the folder of a run, or a folder with runs anywhere below it (runs/ablation_modules).
Runs that differ in nothing but their seed are one row: mean and standard deviation over the seeds.

Keys (a value is what follows the first "=", taken literally):
  baseline=NAME       the row that others are compared with: changes, their intervals and p-values by a paired
                      bootstrap over images, and what the seeds can show. NAME is a row's name, or a part of it
                      that no other row has
  format=html         html, markdown, latex, csv, or several: html,latex. LaTeX and CSV have a file a table;
                      report.tex inputs them all and compiles as it is
  out=report.html     where the page goes; other formats get the same name with their own ending
  split=test          whose predictions: predictions/<split>.parquet of every run; files named
                      <split>_<condition>.parquet beside it become control rows
  protocol=network    network (masks at the network's size, as papers report) or native (at the image's own)
  pair=NAME,NAME      whose pictures stand side by side, and where they disagree most; the best row and the
                      baseline, else the second best, unless it is given
  pictures=3          samples of each outcome to show for each of the pair; 0 for none
  title=...           the heading of the page
  resamples=5000      draws of the bootstrap
  confidence=0.95     of its intervals
  seed=0              of its draws: the same seed gives the same numbers

Examples:
  sbanet-report runs/demo/sbanet runs/demo/pwam baseline=pwam out=page.html
  sbanet-report runs/ablation_modules runs/rmsin_rrsisd baseline=rmsin format=latex,html
"""


FORMATS = ("html", "markdown", "latex", "csv")


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
    baseline: str | None = None
    pair: tuple[str, ...] = ()
    resamples: int = 5000
    confidence: float = 0.95
    seed: int = 0


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
    from sbanet.analysis.rows import RowNameError
    from sbanet.analysis.runs import RunFolderError

    try:
        report(options)
    except (RunFolderError, RowNameError, OSError) as error:
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
        RowNameError: the baseline or a row of the pair is not among the rows.
    """
    from sbanet.analysis.changes import only
    from sbanet.analysis.contents import contents
    from sbanet.analysis.rows import find_row
    from sbanet.console import console

    rows, left_out = _rows(options)
    baseline = None if options.baseline is None else find_row(rows, options.baseline)
    pair = [find_row(rows, name) for name in options.pair]
    said = contents(
        rows,
        options.protocol,
        baseline=baseline,
        resamples=options.resamples,
        confidence=options.confidence,
        seed=options.seed,
    )
    out = console()
    for table in (said.comparison, said.changes and only(said.changes, "mIoU"), said.skills):
        if table is not None:
            out.print(table.rich())
    for warning in (*said.warnings, *(f"left out: {reason}" for reason in left_out)):
        sys.stderr.write(f"sbanet-report: {warning}\n")
    for path in _write(options, rows, said, baseline, pair, [f"Left out: {reason}" for reason in left_out]):
        out.print(f"Wrote {path}", markup=False, highlight=False, soft_wrap=True)


def _write(
    options: Options, rows: Sequence[Row], said: Contents, baseline: Row | None, pair: Sequence[Row], remarks: list[str]
) -> list[Path]:
    """The files of every format that was asked for."""
    from sbanet.analysis import files

    written = []
    if "html" in options.format:
        from sbanet.analysis.contents import contrast
        from sbanet.analysis.page import write_page

        page = write_page(
            files.named(options.out, ".html"),
            rows,
            title=options.title,
            protocol=options.protocol,
            pictures=options.pictures,
            remarks=remarks,
            said=said,
            pair=pair or contrast(rows, said.comparison, baseline),
        )
        written.append(page)
    if "markdown" in options.format:
        written += files.write_markdown(options.out, said, options.title, remarks)
    if "latex" in options.format:
        written += files.write_latex(options.out, said, options.title, remarks)
    if "csv" in options.format:
        written += files.write_csv(options.out, said)
    return written


def _rows(options: Options) -> tuple[list[Row], list[str]]:
    """The rows of all runs that have the split, and why the others are left out."""
    from sbanet.analysis.rows import rows_of
    from sbanet.analysis.runs import RunFolderError, find_runs

    whole, reasons = [], []
    for run in find_runs(options.folders):
        try:
            run.predictions(options.split, masks=False)
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


def _count(key: str, least: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not value.isdecimal() or int(value) < least:
            raise UsageError(f"{key}: got {value!r}, expected a whole number of {least} or more")
        return int(value)

    return read


def _confidence(value: str) -> float:
    try:
        confidence = float(value)
    except ValueError:
        confidence = 0.0
    if not 0 < confidence < 1:
        raise UsageError(f"confidence: got {value!r}, expected a fraction between 0 and 1, for example 0.95")
    return confidence


def _pair(value: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(","))
    if len(names) != 2 or not all(names) or names[0] == names[1]:
        raise UsageError(f"pair: got {value!r}, expected the names of two rows: pair=NAME,NAME")
    return names


READERS: dict[str, Callable[[str], object]] = {
    "out": Path,
    "split": str,
    "protocol": _one_of("protocol", ("network", "native")),
    "format": _formats,
    "title": str,
    "pictures": _count("pictures", 0),
    "baseline": str,
    "pair": _pair,
    "resamples": _count("resamples", 1),
    "confidence": _confidence,
    "seed": _count("seed", 0),
}
"""Key -> how its value is read."""

if __name__ == "__main__":
    sys.exit(main())
