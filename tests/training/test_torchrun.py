"""A run over two nodes by torchrun, one of which is lost and comes back."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.killing import state, train
from tests.tiny_run import TINY

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 600.0


class Nodes:
    """Two torchruns of one job on this machine, as on two of a cluster; the first keeps the meeting place."""

    def __init__(self, log: Path, *overrides: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        place = f"127.0.0.1:{self.port}"
        self.log = log
        self.command = [
            sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", "--max-restarts=3",
            "--rdzv-id=a", "--rdzv-backend=c10d", f"--rdzv-endpoint={place}", "--local-addr=127.0.0.1",
            "-m", "sbanet.train", *overrides,
        ]  # fmt: skip
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
            "OMP_NUM_THREADS": "1",
            "PACE": "0.2",
            "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",  # docs/cluster.md says why
        }
        with self.log.open("ab") as output:
            node = subprocess.Popen(self.command, env=environment, stdout=output, stderr=output, start_new_session=True)
        self.running.append(node)
        return node

    def is_met(self) -> bool:
        """Whether the first node has opened the place where they meet; else the second might, and take it along."""
        with socket.socket() as other:
            return other.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self, node: subprocess.Popen[bytes]) -> None:
        """As a node that loses its power: with all that runs there."""
        children = subprocess.run(["pgrep", "-P", str(node.pid)], capture_output=True, text=True, check=False)
        for process in (node.pid, *map(int, children.stdout.split())):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        node.wait()


@pytest.fixture
def nodes(tmp_path: Path, scene_cache: Path) -> Iterator[Nodes]:
    nodes = Nodes(tmp_path / "log", *overrides(tmp_path, scene_cache), "trainer.num_nodes=2", "trainer.devices=1")
    yield nodes
    for node in nodes.running:
        nodes.kill(node)


def overrides(folder: Path, cache: Path) -> tuple[str, ...]:
    return (
        *TINY, "trainer=ddp", "trainer.accelerator=cpu", "trainer.precision=32-true", "trainer.max_epochs=20",
        "trainer.check_val_every_n_epoch=5", "callbacks.pictures=null", "name=nodes", f"paths.runs={folder}",
        f"paths.cache={cache}", "+callbacks.pace={_target_:tests.sweeps.pace.Pace}",
    )  # fmt: skip


@pytest.mark.slow
def test_a_node_that_is_lost_and_comes_back(
    nodes: Nodes, tmp_path: Path, scene_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), str(ROOT)]))
    undisturbed = train(*overrides(tmp_path / "undisturbed", scene_cache), "trainer.devices=2")
    assert undisturbed.returncode == 0, undisturbed.stdout
    first = nodes.start()
    until = time.monotonic() + LIMIT

    def wait(there: object) -> None:
        while not there():  # type: ignore[operator]
            assert time.monotonic() < until, nodes.log.read_text()
            time.sleep(0.2)

    wait(nodes.is_met)
    second = nodes.start()
    wait(lambda: list(tmp_path.glob("nodes/*/checkpoints/previous.ckpt")))
    nodes.kill(second)
    second = nodes.start()
    wait(lambda: first.poll() is not None and second.poll() is not None)
    assert (first.returncode, second.returncode) == (0, 0), nodes.log.read_text()
    [run] = tmp_path.glob("nodes/*/run.json")
    facts = json.loads(run.read_text())
    assert facts["status"] == "finished"
    assert len(facts["starts"]) >= 2
    [other] = tmp_path.glob("undisturbed/nodes/*/run.json")
    assert facts["scores"] == json.loads(other.read_text())["scores"]
    assert state(run.parent / "checkpoints/last.ckpt") == state(other.parent / "checkpoints/last.ckpt")
    assert len(list(run.parent.parent.iterdir())) == 1
