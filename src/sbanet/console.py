"""Where the commands print."""

from __future__ import annotations

from rich.console import Console

WIDTH_OF_A_FILE = 200
"""Columns of a table that is written to a file or piped on, where rich would cut it to 80."""


def console() -> Console:
    """The terminal; where there is none, a file with room for whole tables."""
    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=WIDTH_OF_A_FILE)
