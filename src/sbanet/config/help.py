"""`--help` of a command that Hydra runs.

Hydra's own prints a whole config, and takes seconds to list the groups beside it; this one lists what lies in the tree.
"""

from __future__ import annotations

import argparse
import shutil
import textwrap
from pathlib import Path

from sbanet.config.arguments import argument_parser
from sbanet.config.keys import group_options


def program_help(prog: str, about: str, own_configs: Path | str | None = None) -> str:
    """What a command does, the flags worth knowing, and the options of every group.

    Args:
        prog: the command.
        about: what it does.
        own_configs: a further folder of configs (`--config-dir`).
    """
    wide = shutil.get_terminal_size().columns - 2
    parser = argument_parser(prog=prog, description=textwrap.fill(about, wide))
    parser.add_argument("--cfg", "-c", choices=("job", "hydra", "all"), help="print the config that would be run")
    parser.add_argument("--hydra-help", action="store_true", help="Hydra's further flags")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    offered = {group: options for group, options in group_options(own_configs).items() if group != "hydra"}
    columns = textwrap.TextWrapper(wide, initial_indent="  ", subsequent_indent=" " * 24)  # as argparse lists flags
    listed = [columns.fill(f"{group:<22}{', '.join(options)}") for group, options in offered.items()]
    parser.epilog = "\n".join(["groups and their options:", *listed])
    return parser.format_help()
