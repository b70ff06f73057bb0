"""Freed memory stays with the process where that is asked for."""

import ctypes
import subprocess
import sys

import pytest

from sbanet.training import host_memory

SCRIPT = """
import numpy as np
from pathlib import Path
from sbanet.training.host_memory import keep_freed_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

keep_freed_memory({keep})
before = resident()
for _ in range(3):
    array = np.ones(25_000_000)
    del array
kept = resident() - before
keep_freed_memory(False)
print(round(kept / 1e8), round((resident() - before) / 1e8))
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="needs glibc")
@pytest.mark.parametrize(("keep", "kept"), [(True, "2 0"), (False, "0 0")])
def test_freed_memory_stays_until_it_is_given_back(keep: bool, kept: str) -> None:
    command = [sys.executable, "-c", SCRIPT.format(keep=keep)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == kept


def test_other_libraries_have_no_such_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_memory.ctypes, "CDLL", lambda _: object())
    host_memory.keep_freed_memory(True)
