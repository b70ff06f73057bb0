"""The layout of RefSegRS and RISBench: a text file a split, `<id> <phrase>` a line."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from sbanet.errors import DataError


class Phrase(NamedTuple):
    """A line of the file.

    Attributes:
        key: the name of the image and of the mask, without suffix.
        text: the sentence; empty where the line has none.
    """

    key: str
    text: str


def read_phrases(path: Path) -> list[Phrase]:
    """Read a file of phrases; empty lines are passed over.

    Raises:
        DataError: no such file, or one that is not UTF-8 text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; expected `<id> <phrase>` a line") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: is not UTF-8 text (byte {error.start}); convert it, as by iconv -f LATIN1 -t UTF-8"
        ) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    phrases = []
    for number, line in enumerate(lines, start=1):
        if "\0" in line:
            raise DataError(f"{path}: line {number} is not text; download the file anew")
        key, *text = line.split(maxsplit=1)[:2] or [""]
        if key:
            phrases.append(Phrase(key, text[0].strip() if text else ""))
    return phrases
