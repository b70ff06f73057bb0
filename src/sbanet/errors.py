"""The errors that a user can mend.

Each also is the builtin that a caller would expect. The commands print their text as one line, without a
traceback (`sbanet.config.clear_errors`); the text says what came, what was expected and what to do.
"""

from __future__ import annotations


class SbanetError(Exception):
    """Base of all errors whose text is meant for the user."""


class ConfigError(SbanetError, ValueError):
    """A config, an override or an argument of a command that cannot be used as it is."""


class CheckpointError(SbanetError, ValueError):
    """A checkpoint that is missing, damaged, or of another model than the one asked for."""


class DamagedCheckpointError(CheckpointError):
    """A checkpoint of which a part is missing or wrong, or no checkpoint at all."""


class DataError(SbanetError, ValueError):
    """An image, an annotation or a dataset folder that is missing or not as its format says."""
