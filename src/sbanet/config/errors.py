"""One clear line for what a user can mend; the exit code is 2."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sbanet.config.arguments import guess_arguments
from sbanet.config.explain import explain

TRACEBACK = "SBANET_TRACEBACK"
"""Set to 1, this environment variable brings the traceback back; Hydra's own HYDRA_FULL_ERROR does too."""

EXIT_CODE = 2


def exit_code_of(error: BaseException) -> int:
    """The exit code of a command that is ended by an error."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    known = isinstance(error, Exception) and explain(error, "train", guess_arguments(sys.argv[1:])) is not None
    return EXIT_CODE if known else 1


@contextmanager
def clear_errors(config_name: str = "train") -> Iterator[None]:
    """End the command with one line on stderr where the user made a mistake; for `with` or as a decorator.

    What is not the user's mistake keeps its traceback.

    Args:
        config_name: the root config of the command, for guessing what a mistyped key was meant to be.

    Raises:
        SystemExit: with code 2, in place of an error of the project or of Hydra.
    """
    try:
        yield
    except Exception as error:
        line = explain(error, config_name, guess_arguments(sys.argv[1:]))
        if line is None or "1" in (os.environ.get(TRACEBACK), os.environ.get("HYDRA_FULL_ERROR")):
            raise
        sys.stderr.write(f"error: {line}\n")
        raise SystemExit(EXIT_CODE) from error
