"""What the tests of training share."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lightning.pytorch.utilities.rank_zero import rank_zero_only


@pytest.fixture
def second_rank() -> Iterator[None]:
    """The process believes that it is not the first of its job."""
    rank, rank_zero_only.rank = rank_zero_only.rank, 1
    yield
    rank_zero_only.rank = rank


@contextmanager
def disk_of(size: str, folder: Path) -> Iterator[Path]:
    """A filesystem of so many bytes (as `8m`) on a folder that is made; its test is skipped where nobody may mount."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a filesystem")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
