"""What W&B runs have left on the disk: a folder a start, in each a log of all that the run was told.

The log is a LevelDB log: blocks of 32 KiB with records in them, here protocol buffers, each in one part or several.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK = 32768
PART = struct.Struct("<IHB")
"""Before each part: its checksum, its length, and which one of its record it is."""
WHOLE, LAST = 1, 4


def logs(folder: Path, run_id: str = "*") -> list[Path]:
    """The logs of the W&B runs of a run's folder, the earliest start first.

    Args:
        folder: of the run; W&B's own `wandb` lies in it.
        run_id: W&B's id of the run; `*` = of any.
    """
    found = (folder / "wandb").glob(f"*run-*/run-{run_id}.wandb")
    return sorted(found, key=lambda log: log.parent.name.partition("run-")[2])


def last_step(folder: Path, run_id: str) -> int:
    """The last step of which the logs of a run hold a row; -1 where there is none."""
    found = (record for log in logs(folder, run_id) for record in records(log))
    return max((record.history.step.num for record in found if record.HasField("history")), default=-1)


def records(log: Path) -> Iterator[Any]:
    """The records of a log, up to where a process was killed while writing.

    Yields:
        `wandb.proto.wandb_internal_pb2.Record`.
    """
    from google.protobuf.message import DecodeError
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

    content, position, parts = log.read_bytes(), PART.size, b""  # behind W&B's own header
    while position + PART.size <= len(content):
        left = BLOCK - position % BLOCK
        if left < PART.size:  # the rest of a block that no part fits into
            position += left
            continue
        _, length, part = PART.unpack_from(content, position)
        position += PART.size
        parts += content[position : position + length]
        position += length
        if part in (WHOLE, LAST):
            try:
                yield Record.FromString(parts)
            except DecodeError:
                return
            parts = b""
