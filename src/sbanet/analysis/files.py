"""The files of a report: a page, and the tables as Markdown, LaTeX and CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sbanet.analysis.contents import Contents
from sbanet.files import write_atomically

ENDINGS = {"html": ".html", "markdown": ".md", "latex": ".tex", "csv": ".csv"}
"""What a report can be written as, and how its files end."""


def named(out: Path, ending: str, part: str = "") -> Path:
    """The path of a report's file; only an ending of ours is replaced (`runs/v1.2` keeps its dot).

    Args:
        out: as the user gave it.
        ending: one of `ENDINGS`.
        part: the table that a file of its own holds, where there is one a table.
    """
    stem = out.stem if out.suffix in ENDINGS.values() else out.name
    return out.with_name(f"{stem}{f'-{part}' if part else ''}{ending}")


def write_markdown(out: Path, said: Contents, title: str, remarks: Sequence[str] = ()) -> list[Path]:
    """All tables in one file, below what warns the reader."""
    warnings = "".join(f"> {remark}\n>\n" for remark in (*said.warnings, *remarks))
    text = "\n".join(
        [f"# {title}\n", *([warnings] if warnings else []), *(t.markdown() for t in said.tables().values())]
    )
    return _written({named(out, ".md"): text})


def write_csv(out: Path, said: Contents) -> list[Path]:
    """A file a table."""
    return _written({named(out, ".csv", part): table.csv() for part, table in said.tables().items()})


def write_latex(out: Path, said: Contents, title: str, remarks: Sequence[str] = ()) -> list[Path]:
    r"""A file a table, for `\input` in a paper, and a document with all of them that compiles as it is."""
    from sbanet.analysis.latex import document, latex

    tables = said.tables()
    parts = {part: named(out, ".tex", part) for part in tables}
    whole = document({path.name: tables[part] for part, path in parts.items()}, title, [*said.warnings, *remarks])
    return _written({named(out, ".tex"): whole} | {path: latex(tables[part], part) for part, path in parts.items()})


def _written(files: dict[Path, str]) -> list[Path]:
    for path, text in files.items():
        write_atomically(path, text)
    return list(files)
