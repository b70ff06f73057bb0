"""`sbanet-train` that kills itself with SIGKILL at a chosen moment, and what is compared after a run that survived it.

As a program it is the command itself; KILL=<moment>:<count>:<rank> says when: at the count-th of that rank's `step`s,
batches of `validation` or `test`, or of `all` ranks', where the first one to get there takes the others along; or when
the first rank is `writing` a checkpoint, half of it on the disk, `renaming` it, so that none is the last one, or
`logging`, with half a row in the file. At a `stop` it is a step, and SIGTERM. SEEN=<file> is where each rank notes the
samples of its steps.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

STARTED_BY_LIGHTNING = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "PL_GLOBAL_SEED")


def train(*overrides: str, kill: str = "", seen: str = "", timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run the command to its end; no process of it is left."""
    environment = {name: value for name, value in os.environ.items() if name not in STARTED_BY_LIGHTNING}
    process = subprocess.Popen(
        [sys.executable, __file__, *overrides], env=environment | {"KILL": kill, "SEEN": seen},
        start_new_session=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        out, _ = process.communicate(timeout=timeout)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(process.args, process.returncode, out)


def state(checkpoint: Path) -> dict[str, Any]:
    """What of a checkpoint the training's course decides, in a form that compares bit for bit."""
    import torch

    content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    return plain({key: content[key] for key in ("state_dict", "optimizer_states", "lr_schedulers", "global_step")})


def plain(value: Any) -> Any:
    if hasattr(value, "numpy"):
        return str(value.dtype), tuple(value.shape), value.detach().numpy().tobytes()
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return value


def samples_by_step(seen: Path) -> dict[int, set[str]]:
    """The samples of each step, of all ranks together."""
    steps: dict[int, set[str]] = {}
    for line in seen.read_text().splitlines():
        step, *samples = line.split()
        steps.setdefault(int(step), set()).update(samples)
    return steps


def note_samples(seen: Path) -> None:
    """Let this process note what each of its steps is given."""
    from sbanet.training.module import ReferringSegmentation

    whole = ReferringSegmentation.training_step

    def noting(task: ReferringSegmentation, batch: Any, batch_idx: int) -> Any:
        with seen.open("a") as file:  # at once: ranks write to one file
            file.write(" ".join([str(task.global_step), *(record.sample_id for record in batch.records)]) + "\n")
        return whole(task, batch, batch_idx)

    ReferringSegmentation.training_step = noting  # type: ignore[method-assign]


def arm(moment: str, count: int, rank: str) -> None:
    """Let this process kill itself, or all processes of the run, at a moment."""
    import torch

    from sbanet.training.checkpoints import PREVIOUS
    from sbanet.training.csv_logger import MetricsCSV
    from sbanet.training.module import ReferringSegmentation

    own = os.environ.get("LOCAL_RANK", "0")
    left = count if rank in (own, "all") else -1

    def killing(function: Callable[..., Any], before_it_dies: Callable[..., Any] = lambda *_: None) -> Any:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                before_it_dies(*arguments)
                if moment == "stop":
                    os.kill(os.getpid(), signal.SIGTERM)
                    return function(*arguments, **options)
                if rank == "all":
                    os.killpg(0, signal.SIGKILL)
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return wrapped

    def half_a_checkpoint(_: Any, file: Any) -> None:
        file.write(b"PK" * 1000)
        file.flush()

    def half_a_row(logger: MetricsCSV, *_: Any) -> None:
        with logger.path.open("a") as file:
            file.write("0,1")

    rename = Path.replace

    def renaming(path: Path, target: Path) -> Path:
        done = rename(path, target)
        return killing(lambda: done)() if Path(target).name == PREVIOUS else done

    if moment == "writing":
        torch.save = killing(torch.save, half_a_checkpoint)
    elif moment == "renaming":
        Path.replace = renaming  # type: ignore[method-assign]
    elif moment == "logging":
        MetricsCSV.log_metrics = killing(MetricsCSV.log_metrics, half_a_row)  # type: ignore[method-assign]
    else:
        name = {"step": "training", "stop": "training"}.get(moment, moment) + "_step"
        setattr(ReferringSegmentation, name, killing(getattr(ReferringSegmentation, name)))


if __name__ == "__main__":
    if kill := os.environ.get("KILL"):
        moment, count, rank = kill.split(":")
        arm(moment, int(count), rank)
    if seen := os.environ.get("SEEN"):
        note_samples(Path(seen))
    from sbanet.train import main

    main()
