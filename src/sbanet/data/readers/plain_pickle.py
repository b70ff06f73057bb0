"""Pickles of plain containers, strings and numbers; anything else is refused before it is built."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from sbanet.errors import DataError


class _PlainUnpickler(pickle.Unpickler):
    """Knows no class and no function, which is all that a pickle can do harm with."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it refers to {module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to objects outside of it")


def read_plain_pickle(path: Path) -> Any:
    """The content of a pickle, if it is lists, dicts, strings and numbers; nothing of it is ever executed.

    Raises:
        DataError: no such file, a damaged one, or one that holds anything else.
    """
    try:
        with path.open("rb") as file:
            return _PlainUnpickler(file, encoding="latin1").load()  # the REFER files were written by Python 2
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; expected a pickle of annotations") from error
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path}: is refused ({error}); expected plain lists, dicts, strings and numbers, download it anew"
        ) from error
    except Exception as error:  # of any kind: damaged bytes end in whatever the opcode at hand raises
        raise DataError(f"{path}: cannot be read as a pickle ({type(error).__name__}: {error})") from error
