"""A SLURM of one node that belongs to a test: real daemons, in a network of their own that leads nowhere."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged", "unshare", "nsenter", "ip")
INSTALL = "apt-get install --no-install-recommends slurm-wlm munge iproute2"

_CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
MpiDefault=none
JobRequeue=1
ReturnToService=2
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
KillWait=30
MinJobAge=3600
SchedulerParameters=sched_interval=2,bf_interval=2
NodeName=localhost NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=all Nodes=localhost Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """What this machine lacks to run one; empty if nothing."""
    if os.getuid() != 0:
        return "the daemons need root"
    if absent := [program for program in PROGRAMS if shutil.which(program) is None]:
        return f"{', '.join(absent)} not installed ({INSTALL})"
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode:
        return "this machine allows no network namespaces"
    return ""


class Cluster:
    """The daemons, between `start` and `stop`.

    Args:
        folder: of configuration, state and logs.
        cpus: of its node, real or not.
    """

    def __init__(self, folder: Path, *, cpus: int) -> None:
        self.folder = folder
        for name in ("state", "spool"):
            (folder / name).mkdir(parents=True)
        folder.chmod(0o755)  # munge refuses a socket in a folder that others may write to
        config = _CONFIG.format(host=socket.gethostname().partition(".")[0], folder=folder, cpus=cpus).lstrip()
        (folder / "slurm.conf").write_text(config)
        key = folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        self._daemons: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        # the second address: names are not looked up on a machine that has nothing but 127.0.0.1
        up = "ip link set lo up && ip address add 10.0.0.1/32 dev lo && exec sleep infinity"
        self._network = subprocess.Popen(["unshare", "--net", "sh", "-c", up])
        self._daemons.append(self._network)
        until = time.monotonic() + 60
        while b"10.0.0.1" not in subprocess.run(self.within("ip", "address"), capture_output=True, check=False).stdout:
            assert time.monotonic() < until
            time.sleep(0.1)
        own = [f"--{what}={self.folder}/munge.{what.split('-')[0]}" for what in ("socket", "key-file", "pid-file")]
        files = [f"--log-file={self.folder}/munge.log", f"--seed-file={self.folder}/munge.seed"]
        self._run("munged", "--foreground", "--force", *own, *files)
        self._wait_for((self.folder / "munge.socket").exists)
        self._run("slurmctld", "-D")
        self._run("slurmd", "-D", "-N", "localhost")
        self._wait_for(lambda: "idle" in self.tell("sinfo", "--noheader", "--format=%T", check=False))

    def stop(self) -> None:
        """End all that runs in it, jobs too."""
        self.tell("scancel", "--full", "--user=root", check=False)
        with suppress(AssertionError):
            self._wait_for(lambda: not self.tell("squeue", "--noheader", check=False), seconds=40)
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    @property
    def environment(self) -> dict[str, str]:
        """For the commands that speak to it."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def within(self, *command: str) -> list[str]:
        """A command as it has to be started to be in the cluster's network."""
        return ["nsenter", f"--net=/proc/{self._network.pid}/ns/net", *command]

    def tell(self, *command: str, check: bool = True) -> str:
        """What one of SLURM's own commands says."""
        done = subprocess.run(
            self.within(*command), env=os.environ | self.environment, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0 or not check, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def logs(self) -> str:
        """The end of the daemons' own logs, for the message of a test that failed."""
        paths: Iterable[Path] = sorted(self.folder.glob("*.log"))
        return "\n".join(f"{path.name}:\n" + "\n".join(path.read_text().splitlines()[-20:]) for path in paths)

    def _run(self, *command: str) -> None:
        with (self.folder / f"{command[0]}.out").open("ab") as output:
            self._daemons.append(
                subprocess.Popen(self.within(*command), env=os.environ | self.environment, stdout=output, stderr=output)
            )

    def _wait_for(self, there: object, seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while not there():  # type: ignore[operator]
            assert time.monotonic() < until, self.logs()
            time.sleep(0.2)
