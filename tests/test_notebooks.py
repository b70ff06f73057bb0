"""Every notebook runs from its first cell to its last, and the outputs that are stored in it are fit to be read."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from .analysis.conftest import write_run

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
PICTURES = {"compare_runs.ipynb": 1, "tour.ipynb": 5}
"""Every notebook, and how many pictures it has stored at least."""
LARGEST = 1_500_000
"""Bytes of a notebook with its pictures."""


def code_of(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def pictures_of(notebook: nbformat.NotebookNode) -> int:
    return sum("image/png" in output.get("data", {}) for cell in code_of(notebook) for output in cell.outputs)


def test_they_are_few() -> None:
    assert [path.name for path in NOTEBOOKS] == list(PICTURES)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_stored_is_small_and_names_no_machine(path: Path) -> None:
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    assert path.stat().st_size < LARGEST
    cells = code_of(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "run from the top, once"
    assert pictures_of(notebook) >= PICTURES[path.name]
    for cell in cells:
        for output in cell.outputs:
            assert output.output_type in ("stream", "display_data", "execute_result")
            assert output.get("name") != "stderr"
            text = str(output.get("text", "")) + str(output.get("data", {}).get("text/plain", ""))
            assert not re.search(r"(^|[\s'\"=])(/|~/|[A-Z]:\\)\w", text), text


@pytest.fixture(scope="module")
def swept_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models with two seeds each."""
    folder = tmp_path_factory.mktemp("swept")
    for name, skill in (("sbanet", 0.8), ("pwam", 0.4)):
        for seed in (1, 2):
            write_run(folder / f"{name}{seed}", name=name, skill=skill, seed=seed)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path, tiny_run: Path, swept_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = shutil.copy(path, tmp_path)
    monkeypatch.setenv("SBANET_RUNS", str(swept_runs))
    monkeypatch.setenv("SBANET_TOUR_CKPT", str(tiny_run / "checkpoints" / "best.ckpt"))
    source = str(FOLDER.parent / "src")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([source, os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(copy, 4)
    stored = pictures_of(notebook)
    for cell in code_of(notebook):
        cell.outputs = []
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}})
    client.create_kernel_manager()
    client.km.kernel_spec.argv[0] = sys.executable  # a kernel of that name may be another environment's
    client.execute()  # raises the error of a cell that fails
    assert pictures_of(notebook) == stored
    assert all(cell.execution_count for cell in code_of(notebook))
    assert [path.name for path in tmp_path.iterdir()] == [path.name], "a run leaves nothing behind"
