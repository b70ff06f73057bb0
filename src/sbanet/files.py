"""Files that are either whole or not there, whenever a job is killed."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

DIGITS = 8
"""Of the name that a file has until it is whole."""


@contextmanager
def open_atomically(path: Path) -> Iterator[BinaryIO]:
    """A file to write to that takes the place of `path` when the block ends without an error.

    Until then it lies under another name in the same folder, where a rename is one step; an error removes it.

    Args:
        path: what is there is replaced; its folder is made where it does not exist.

    Yields:
        The open file.
    """
    # Not `tempfile`: its files are private to the user, and a run's results are for the group.
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:DIGITS]}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # as of a write to a full disk
            error.filename = str(path)
        raise


def remove_unfinished(folder: Path) -> None:
    """Remove what killed processes had begun to write into a folder; nobody else may be writing there now."""
    for file in folder.glob(f".*.{'?' * DIGITS}.tmp"):
        file.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file in one step: a reader sees the old content or the new, never a part.

    Args:
        path: what is there is replaced; its folder is made where it does not exist.
        content: text is written as UTF-8, its line feeds as they are.
    """
    with open_atomically(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def image_file_name(image: str) -> str:
    """The file name (without suffix) of an image's thumbnail.

    Args:
        image: the image's key; a path, or a scene number.

    Returns:
        The key itself where it is a plain name, else its readable part and a digest that keeps keys apart.
    """
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", image)
    if plain == image and 0 < len(plain) <= 80 and not plain.startswith("."):
        return plain
    return f"{plain[-60:].lstrip('.')}-{hashlib.sha256(image.encode()).hexdigest()[:10]}"
