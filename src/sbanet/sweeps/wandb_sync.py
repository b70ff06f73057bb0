"""The upload of what a sweep has logged to W&B offline."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sbanet.errors import DataError
from sbanet.training.wandb_files import logs

WANDB_SYNC = (sys.executable, "-m", "wandb", "sync")


def offline_logs(folder: Path) -> list[Path]:
    """The logs that a folder's runs have written offline and not uploaded, each once.

    Args:
        folder: of a sweep's jobs, or of one run.

    Returns:
        Run by run, in the order of their first starts; those of a run's starts in their order, since the later ones
        go on from where the earlier ones end.

    Raises:
        DataError: no run there was logged offline.
    """
    runs = [logs(path) for path in sorted({folder, *folder.glob("*/")})]
    offline = [[log for log in starts if log.parent.name.startswith("offline-")] for starts in runs]
    if not any(offline):
        raise DataError(f"{folder}: no W&B run lies there; expected the folder of runs with logger=wandb")
    in_order = sorted(filter(None, offline), key=lambda starts: starts[0].parent.name)
    return [log for starts in in_order for log in starts if not is_uploaded(log)]


def is_uploaded(log: Path) -> bool:
    """Whether W&B has noted beside a log that the server has it."""
    return log.with_suffix(".wandb.synced").exists()


def upload(offline: list[Path]) -> None:
    """Upload logs by W&B's own command, which shows how far it is.

    Raises:
        DataError: with the number of those that were not uploaded.
    """
    subprocess.run([*WANDB_SYNC, *(str(log.parent) for log in offline)], check=False)
    if left := [log for log in offline if not is_uploaded(log)]:
        raise DataError(
            f"{len(left)} of {len(offline)} logs were not uploaded, the first of them {left[0].parent}; "
            "W&B says above why (without a key: wandb login), and the same command goes on with them"
        )
