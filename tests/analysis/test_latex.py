"""LaTeX of tables: its structure always, and whether it compiles where pdflatex is."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sbanet.analysis.latex import document, escaped, latex
from sbanet.analysis.table import Column, Mean, Table

EVIL = r"a_b%c&d#e$f{g}h~i^j\k<l>m|n ± 中 é 'q' \"r\""
TABLE = Table(
    "Comparison of 100 % & more",
    f"A note on {EVIL}.",
    (Column("Model"), Column("mIoU", "{:.2f}", 1), Column("Δ_mIoU", "{:+.2f}"), Column("Mult-adds (G)", "{:.1f}")),
    ((EVIL, Mean(61.04, 0.213), -0.4, None), ("x", Mean(65.5), 1.25, 2.0), ("wrong", Mean(9.0), None, None)),
    frozenset({2}),
)


def test_cells_are_set_as_a_paper_sets_them() -> None:
    lines = latex(TABLE, "main").splitlines()
    start = lines.index(r"\toprule")
    assert lines[:2] == [r"\begin{table}[ht]", r"\centering\small"]
    assert lines[start - 1] == r"\begin{tabular}{lrrr}"
    assert lines[start + 1] == r"Model & mIoU & $\Delta$\_mIoU & Mult-adds (G) \\"
    assert lines[start + 2] == r"\midrule"
    assert lines[start + 3].endswith(r" & $61.04 \pm 0.21$ & $-0.40$ & - \\")
    assert lines[start + 4] == r"x & \textbf{65.50} & $+1.25$ & 2.0 \\"
    assert lines[start + 5 :] == [
        r"\midrule", r"wrong & 9.00 & - & - \\", r"\bottomrule", r"\end{tabular}", r"\end{table}",
    ]  # fmt: skip


def test_the_best_mean_is_bold_and_its_spread_is_not() -> None:
    table = Table("T", "n", (Column("a"), Column("b", "{:.1f}", 1)), (("x", Mean(2.0, 0.5)), ("y", Mean(1.0, 0.1))))
    assert r"x & $\mathbf{2.0} \pm 0.5$ \\" in latex(table, "t")


def test_every_line_is_sound() -> None:
    """Braces and groups close, a row has a cell a column, and no sign is left that means something else."""
    text = latex(TABLE, "main")
    plain = re.sub(r"\\[\\{}%&#$_]", "", text)
    assert plain.count("{") == plain.count("}")
    assert plain.count("$") % 2 == 0
    assert not re.search(r"[#%~]", plain)
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 4
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {3}
    assert re.findall(r"\\(begin|end){(\w+)}", text) == [
        ("begin", "table"), ("begin", "tabular"), ("end", "tabular"), ("end", "table"),
    ]  # fmt: skip
    assert text.isascii() or set(text) - set(map(chr, range(128))) == {"é"}
    assert escaped("中") == "[U+4E2D]"


def test_it_compiles(tmp_path: Path) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("no pdflatex here: apt-get install texlive-latex-recommended")
    (tmp_path / "report-main.tex").write_text(latex(TABLE, "main"), encoding="utf-8")
    (tmp_path / "report.tex").write_text(document({"report-main.tex": TABLE}, EVIL, [EVIL]), encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "report.tex"],
        cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "report.pdf").stat().st_size > 5000
    assert "Overfull" not in done.stdout
