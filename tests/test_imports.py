"""Imports go down only: commands, training, then models and data; analysis and interop stand beside.

These rules are read from the sources, so that an import inside a function counts as well. That a command starts at once
is seen in a process: nothing heavy is imported for a help text, a mistyped key or a sweep's own process.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from sbanet.sweeps.record import job_lock

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCES = REPOSITORY / "src" / "sbanet"
COMMANDS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"]
HEAVY = {
    "torch", "torchvision", "torchmetrics", "lightning", "transformers", "timm", "albumentations", "wandb",
    "numpy", "pandas", "pyarrow", "plotly", "cv2",
}  # fmt: skip
MACHINERY = {"hydra", "omegaconf", "lightning", "pytorch_lightning", "torchmetrics", "wandb"}
LEAVES = ("drawing", "errors", "files", "images", "resizing", "run_identity", "scores")
"""Modules that everybody may import, since they import nobody."""


class Import(NamedTuple):
    """`module` as far as it is written out, and the functions and classes that the statement stands in."""

    module: str
    within: str
    line: int

    def is_of(self, *packages: str) -> bool:
        return any(f"{self.module}.".startswith(f"{package}.") for package in packages)

    @property
    def root(self) -> str:
        return self.module.partition(".")[0]


def imports_of(source: str, package: str) -> Iterator[Import]:
    """Every import of a module of `package`, those for the type checker included."""

    def walk(node: ast.AST, within: tuple[str, ...]) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, ".".join(within), node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base] if base else parents)
            for alias in node.names:
                yield Import(f"{base}.{alias.name}", ".".join(within), node.lineno)
        elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            within = (*within, node.name)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, within)

    yield from walk(ast.parse(source), ())


def imports_in(folder: str) -> list[tuple[Path, Import]]:
    """(file, import) of every module below a folder of the package."""
    files = sorted((SOURCES / folder).rglob("*.py"))
    assert files, f"no sources in {folder}"
    return [
        (file.relative_to(SOURCES), found)
        for file in files
        for found in imports_of(
            file.read_text(encoding="utf-8"), ".".join(["sbanet", *file.relative_to(SOURCES).parts[:-1]])
        )
    ]


def places(offenders: list[tuple[Path, Import]]) -> list[str]:
    return [f"{file}:{found.line} imports {found.module}" for file, found in offenders]


def test_models_are_torch_and_nothing_else_of_ours():
    def allowed(file: Path, found: Import) -> bool:
        if found.is_of("sbanet.inference"):
            return file.name == "segmenter.py" and found.within.startswith("ReferringSegmenter.")
        return found.root not in MACHINERY and (found.root != "sbanet" or found.is_of("sbanet.models"))

    assert places([pair for pair in imports_in("models") if not allowed(*pair)]) == []


def test_data_know_no_model():
    def allowed(file: Path, found: Import) -> bool:
        if found.root in MACHINERY:
            return file.parent.name == "datamodules" and found.root == "lightning"
        return not found.is_of("sbanet.models", "sbanet.training")

    assert places([pair for pair in imports_in("data") if not allowed(*pair)]) == []


def test_analysis_starts_without_torch():
    forbidden = ("torch", "torchvision", "timm", "transformers", "lightning", "torchmetrics")
    offenders = [
        pair for pair in imports_in("analysis") if pair[1].is_of(*forbidden, "sbanet.models", "sbanet.training")
    ]
    assert places(offenders) == []


def test_training_sees_models_and_data_but_no_command():
    below = [f"sbanet.{name}" for name in ("training", "models", "data", "config", *LEAVES)]

    def allowed(found: Import) -> bool:
        # `import sbanet` is for its version
        return found.root != "sbanet" or found.module == "sbanet" or found.is_of(*below)

    assert places([pair for pair in imports_in("training") if not allowed(pair[1])]) == []


@pytest.mark.parametrize("name", LEAVES)
def test_leaves_stand_on_nothing_but_leaves(name):
    found = imports_of((SOURCES / f"{name}.py").read_text(encoding="utf-8"), "sbanet")
    below = [f"sbanet.{leaf}" for leaf in LEAVES]
    assert [one.module for one in found if one.root == "sbanet" and not one.is_of(*below)] == []


class Started(NamedTuple):
    """What a command has printed, its exit code, and the heavy modules that it has imported."""

    code: int
    output: str
    errors: str
    heavy: set[str]


def start(command: str, *arguments: str, cwd: Path) -> Started:
    module, function = COMMANDS[command].split(":")
    program = f"""
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
from {module} import {function} as main
sys.exit(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    errors, _, modules = done.stderr.removesuffix("\n").rpartition("\n")
    assert "sbanet" in modules.split(), done.stderr
    return Started(done.returncode, done.stdout, errors, HEAVY & set(modules.split()))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_help_text_imports_nothing_heavy(command, tmp_path):
    started = start(command, "--help", cwd=tmp_path)
    assert started.code == 0, started.errors
    assert command in started.output
    assert started.heavy == set()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["sed=1"], ["model/alignment=bm"], ["-m", "sed=1,2"]], ids=" ".join)
def test_a_mistyped_name_is_told_before_anything_heavy_is_imported(arguments, tmp_path):
    started = start("sbanet-train", *arguments, cwd=tmp_path)
    assert started.code == 2
    assert "did you mean" in started.errors or "known:" in started.errors
    assert started.heavy == set()


def test_the_process_of_a_sweep_imports_nothing_heavy(tmp_path):
    """Seen on a job that somebody else runs, so that none is started."""
    with job_lock(tmp_path / "runs" / "default" / "seed-1"):
        started = start("sbanet-train", "-m", "seed=1", "resume=false", cwd=tmp_path)
    assert started.code == 1, started.errors
    assert "another process runs it now" in started.output
    assert started.heavy == set()


@pytest.mark.parametrize(
    ("source", "module", "within"),
    [
        ("import sbanet.data.records as r", "sbanet.data.records", ""),
        ("from sbanet import data", "sbanet.data", ""),
        ("from sbanet.data import records", "sbanet.data.records", ""),
        ("from .nodes import Words", "sbanet.models.nodes.Words", ""),
        ("from ..data import records", "sbanet.data.records", ""),
        ("from .. import data", "sbanet.data", ""),
        ("class A:\n  def f(self):\n    if True:\n      import torch", "torch", "A.f"),
        ("if TYPE_CHECKING:\n  import torch", "torch", ""),
    ],
)
def test_every_way_to_import_is_seen(source, module, within):
    [found] = imports_of(source, "sbanet.models")
    assert (found.module, found.within) == (module, within)
