r"""Tables for a paper: booktabs, and a document around them that compiles as it is.

report.tex               the document: `pdflatex report.tex`
report-comparison.tex    a table, for `\input{report-comparison}` where `\usepackage{booktabs}` is
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sbanet.analysis.table import Cell, Column, Mean, Table

SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "$": r"\$",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$", "|": r"$|$",
    '"': "''", "±": r"$\pm$", "Δ": r"$\Delta$", "×": r"$\times$", "−": "$-$", "·": r"$\cdot$", "\n": " ",
}  # fmt: skip
"""Signs that mean something to LaTeX, or that its default font lacks, and how they are written."""


def escaped(text: str) -> str:
    """Text as LaTeX prints it; a sign that pdflatex does not know is written by its number."""
    return "".join(
        SPECIAL.get(sign, sign if (sign.isascii() and sign.isprintable()) or sign in LATIN else f"[U+{ord(sign):04X}]")
        for sign in text
    )


LATIN = frozenset("ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿßŒœŠšŽžŁłČčŘřŞşĞğ")
"""Letters with accents that LaTeX puts together in its own font."""

MARGIN = 15
"""Of the document's pages, in mm."""


def latex(table: Table, label: str) -> str:
    r"""A `table` that needs `\usepackage{booktabs}`: rules above, below and under the head, the best in bold.

    Args:
        table: what to set; its note becomes the caption.
        label: for `\ref`.
    """
    columns = range(len(table.columns))
    best = table.bests()
    lines = [
        r"\begin{table}[ht]",
        r"\centering\small",
        rf"\caption{{{escaped(table.title)}. {escaped(table.note)}}}",
        rf"\label{{tab:{label}}}",
        rf"\begin{{tabular}}{{{''.join('l' if table.is_text(column) else 'r' for column in columns)}}}",
        r"\toprule",
        " & ".join(escaped(column.title) for column in table.columns) + r" \\",
        r"\midrule",
    ]
    for row, cells in enumerate(table.rows):
        if row in table.controls and row - 1 not in table.controls and row:
            lines.append(r"\midrule")
        texts = [_cell(table.columns[i], cells[i], row in best[i]) for i in columns]
        lines.append(" & ".join(texts) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"


def _cell(column: Column, cell: Cell, best: bool) -> str:
    if isinstance(cell, Mean) and cell.spread is not None:
        mean, spread = column.form.format(cell.value), column.form.format(cell.spread)
        shown = rf"\mathbf{{{mean}}}" if best else mean
        return rf"${shown} \pm {spread}$"
    text = escaped(column.text(cell))
    if text[:1] in ("-", "+") and text[1:2].isdigit():
        text = f"${text}$"  # a minus sign, not a hyphen
    return rf"\textbf{{{text}}}" if best else text


def document(tables: Mapping[str, Table], title: str, remarks: Sequence[str] = ()) -> str:
    r"""A document that inputs tables.

    Args:
        tables: name of the file, without its ending -> the table in it.
        title: above them.
        remarks: what a reader must see first, a paragraph each.
    """
    width = max((_millimetres(table) for table in tables.values()), default=0) + 2 * MARGIN
    height = max((5 * len(table.rows) for table in tables.values()), default=0) + 80
    lines = [
        r"\documentclass{article}",
        r"\usepackage[utf8]{inputenc}",
        r"\usepackage{booktabs}",
        # Paper that takes the largest table: what a journal's page does with it is the author's choice.
        rf"\usepackage[paperwidth={max(210, width)}mm,paperheight={max(297, height)}mm,margin={MARGIN}mm]{{geometry}}",
        r"\begin{document}",
        rf"\section*{{{escaped(title)}}}",
        *(f"{escaped(remark)}\n" for remark in remarks),
        *(rf"\input{{{name}}}" for name in tables),
        r"\end{document}",
    ]
    return "\n".join(lines) + "\n"


def _millimetres(table: Table) -> int:
    r"""About how wide a table is, in `\small` with the columns' own space."""
    widths = [
        max(len(text) for text in (column.title, *(column.text(cells[index]) for cells in table.rows)))
        for index, column in enumerate(table.columns)
    ]
    return round(1.9 * sum(widths) + 4.3 * len(widths))
