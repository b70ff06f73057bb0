"""The part of Hydra's command line that the project's own commands share with it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What a command line asks to be composed.

    Attributes:
        overrides: in Hydra's grammar, in their order.
        config_name: the root config, None where the command's own is meant.
        own_configs: the folder given with `--config-dir`.
        multirun: the overrides span a sweep.
    """

    overrides: list[str]
    config_name: str | None = None
    own_configs: str | None = None
    multirun: bool = False


def override_key(override: str) -> str:
    """The key or group that an override is about (`+model/alignment=bam` -> `model/alignment`)."""
    return override.lstrip("+~").partition("=")[0]


def argument_parser(**about: str) -> argparse.ArgumentParser:
    """A parser of the shared flags; the keywords are those of `argparse.ArgumentParser`."""
    parser = argparse.ArgumentParser(**about)  # type: ignore[arg-type]
    parser.add_argument("overrides", nargs="*", help="changes of the config: experiment=... group=option key=value")
    parser.add_argument("--config-dir", "-cd", help="a folder with configs of your own")
    parser.add_argument("--config-name", "-cn", help="the root config, if not train")
    parser.add_argument("--multirun", "-m", action="store_true", help="the overrides are a sweep")
    return parser


def read_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> Arguments:
    """Parse a command line; the errors and `--help` of argparse apply."""
    return _arguments(parser.parse_intermixed_args(argv))


def guess_arguments(argv: Sequence[str]) -> Arguments:
    """Parse a command line that another program reads, passing over the flags that are not shared."""
    parser = argument_parser(add_help=False)  # type: ignore[arg-type]
    known, _ = parser.parse_known_intermixed_args([a for a in argv if a.strip()])
    return _arguments(known)


def _arguments(parsed: argparse.Namespace) -> Arguments:
    return Arguments(
        overrides=[override for override in parsed.overrides if override],
        config_name=parsed.config_name,
        own_configs=parsed.config_dir,
        multirun=parsed.multirun,
    )
