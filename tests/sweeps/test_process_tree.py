"""A process tree begins without its parent's rank, and ends as a whole."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from sbanet.sweeps import process_tree
from sbanet.sweeps.process_tree import ProcessTree, without_rank

CHILD_THAT_STAYS = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
{then}
"""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def started(tmp_path: Path, then: str) -> tuple[ProcessTree, int]:
    log = tmp_path / "new" / "job.log"
    tree = ProcessTree([sys.executable, "-c", CHILD_THAT_STAYS.format(then=then)], log=log, environment={})
    until = time.monotonic() + 60
    while not log.read_text().strip():
        assert time.monotonic() < until
        time.sleep(0.05)
    return tree, int(log.read_text().split()[0])


def ended(tree: ProcessTree) -> int:
    until = time.monotonic() + 60
    while (code := tree.poll()) is None:
        assert time.monotonic() < until
        time.sleep(0.05)
    return code


@pytest.mark.parametrize(("then", "code"), [("sys.exit(3)", 3), ("pass", 0)])
def test_what_a_command_leaves_behind_ends_with_it(
    then: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_tree, "GRACE", 0.5)
    tree, child = started(tmp_path, then)
    assert ended(tree) == code
    time.sleep(0.1)
    assert not is_running(child)


def test_a_tree_is_stopped_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_tree, "GRACE", 1.0)
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    tree, child = started(tmp_path, deaf)
    while "deaf" not in (tmp_path / "new" / "job.log").read_text():
        time.sleep(0.05)
    tree.stop()
    time.sleep(0.1)
    assert not is_running(child)
    assert tree.poll() == -9


def test_the_variables_of_a_rank_are_left_out() -> None:
    inherited = {"LOCAL_RANK": "1", "TORCHELASTIC_RUN_ID": "x", "ROLE_RANK": "0", "MASTER_PORT": "1", "HOME": "/home"}
    assert without_rank(inherited) == {"HOME": "/home"}


def test_variables_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    log = tmp_path / "job.log"
    program = "import os; print(os.environ.get('LOCAL_RANK'), os.environ['OMP_NUM_THREADS'])"
    tree = ProcessTree([sys.executable, "-c", program], log=log, environment={"OMP_NUM_THREADS": "3"})
    assert ended(tree) == 0
    assert log.read_text() == "None 3\n"
