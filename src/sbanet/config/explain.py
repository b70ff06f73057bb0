"""What an error of Hydra or OmegaConf means for the user, in one line.

Hydra's own messages span several lines, name classes of its parser, or print its search path; here each
says what came, what was expected, and what to type instead.
"""

from __future__ import annotations

import errno
import re

from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf.errors import (
    InterpolationKeyError,
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)
from yaml import YAMLError

from sbanet.config.arguments import Arguments
from sbanet.config.keys import config_groups, known_keys, root_configs
from sbanet.config.suggest import did_you_mean
from sbanet.errors import SbanetError

_REFUSED_WRITES = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room in your quota",
    errno.EROFS: "choose a folder that can be written to",
    errno.EACCES: "choose a folder that you may write to",
}
"""What to do where the system takes no file."""

_OF_EXTRAS = {"hydra/launcher/submitit_slurm": ("hydra/launcher=slurm", "slurm")}
"""Configs of other packages that ours build on: what the user asked for, and the extra that has them."""

_OF_WRONG_ARGUMENTS = (ImportError, AttributeError, TypeError, ValueError, LookupError)


def explain(error: BaseException, config_name: str, arguments: Arguments) -> str | None:
    """The line to print for an error, None where it is no mistake of the user.

    Args:
        error: what was raised.
        config_name: the root config of the command.
        arguments: the command line.
    """
    match error:
        case SbanetError():
            return str(error)
        case InstantiationException():
            return _instantiation(error)
        case MissingConfigException():
            return _missing_config(error)
        case OverrideParseException():
            return _unreadable_override(error)
        case ConfigCompositionException():
            return _composition(error, config_name, arguments)
        case HydraException() | YAMLError():
            return _one_line(error)
        case OmegaConfBaseException():
            return _value(error)
        case OSError() if error.errno in _REFUSED_WRITES:
            where = f"{error.filename}: " if error.filename else ""
            return f"{where}{error.strerror}; what was written before is whole: {_REFUSED_WRITES[error.errno]}, repeat"
        case _:
            return None


def _instantiation(error: InstantiationException) -> str | None:
    """A constructor refused its arguments, or a target could not be found."""
    key = re.search(r"full_key: (\S+)", str(error))
    cause: BaseException | None = error
    while isinstance(cause, InstantiationException):
        cause = cause.__cause__
    where = f"{key[1]}: " if key else ""
    if isinstance(cause, SbanetError):
        return f"{where}{cause}"
    if cause is None or isinstance(cause, ImportError | AttributeError | TypeError | ValueError | LookupError):
        text = _one_line(error).removesuffix(f"; {key[0]}" if key else "")
        return f"{where}{text if cause is None else _one_line(cause)}; SBANET_TRACEBACK=1 shows where"
    return None


def _missing_config(error: MissingConfigException) -> str:
    """A group has no such option, or there is no such root config."""
    missing = error.missing_cfg_file
    if missing is None:
        return _one_line(error)
    if missing in _OF_EXTRAS:
        asked, extra = _OF_EXTRAS[missing]
        return f"{asked} needs the extra `{extra}`: pip install 'sbanet[{extra}]'"
    group, _, option = missing.rpartition("/")
    if not group:
        return f"there is no root config '{option}'{did_you_mean(option, root_configs())}"
    options = list(error.options or ())
    if not options:
        return f"{group}={option}: there is no group '{group}'{did_you_mean(group, config_groups())}"
    return (
        f"{group}={option}: there is no '{option}' in '{group}'{did_you_mean(option, options)};"
        f" known: {', '.join(options)}"
    )


def _unreadable_override(error: OverrideParseException) -> str:
    """An argument that is not in Hydra's override grammar."""
    key, equals, value = error.override.partition("=")
    if not equals:
        return f"cannot read '{error.override}': an override is written key=value"
    return (
        f"cannot read the value of '{error.override}': quote what holds spaces, brackets, '=' or quotes,"
        f" as in '{key}=\"{value}\"'"
    )


def _composition(error: ConfigCompositionException, config_name: str, arguments: Arguments) -> str | None:
    """An override that does not fit the composed config."""
    text = str(error)
    if match := re.search(r"Could not append .+ already at '(.+?)'", text):
        return f"'{match[1]}' is already in the config: write {match[1]}=<value>, without the +"
    if match := re.search(r"Could not (?:override|append|delete from config)\W+'?([^'\s]+?)'", text):
        return _unknown_key(match[1], config_name, arguments)
    if match := re.search(r"Override (\S+) looks like a config group override", text):
        return _unknown_key(match[1].lstrip("+~").partition("=")[0], config_name, arguments)
    if match := re.search(r"Error merging override (.+)", text):
        cause = error.__cause__
        return f"{match[1]}: {_first_line(cause) if cause else 'does not fit'}"
    if match := re.search(r"Ambiguous value for argument '(.+?)'", text):
        key, _, value = match[1].partition("=")
        return f"{match[1]} names several values: sweep with -m, or write a list as '{key}=[{value}]'"
    cause = error.__cause__
    if not text and isinstance(cause, OmegaConfBaseException):
        return _value(cause) or _one_line(cause)
    return _one_line(error)


def _unknown_key(key: str, config_name: str, arguments: Arguments) -> str:
    groups = config_groups(arguments.own_configs)
    known = groups if "/" in key else [*known_keys(config_name, arguments, without=key), *groups]
    kind = "group" if "/" in key else "key"
    if key in known:
        return f"there is no {kind} '{key}' with the configs chosen here, though there is one by default"
    hint = did_you_mean(key, known)
    return f"there is no {kind} '{key}' in the config{hint} (a new one is added with +{key}=<value>)"


def _value(error: OmegaConfBaseException) -> str | None:
    """A value that is missing, or that refers to nothing."""
    key = error.full_key
    if isinstance(error, MissingMandatoryValue):
        return f"{key} is required and has no value: give {key}=<value>"
    if isinstance(error, InterpolationKeyError | InterpolationResolutionError):
        return f"{key}: {_first_line(error)}"
    return None


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]


def _one_line(error: BaseException) -> str:
    """A message with its line ends made semicolons."""
    lines = [line.strip() for line in str(error).splitlines()]
    return "; ".join(line.rstrip(";") for line in lines if line) or type(error).__name__
