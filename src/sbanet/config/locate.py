"""Where the config tree lies: beside the package in a wheel, at the top of the repository in a checkout."""

from __future__ import annotations

from pathlib import Path

from sbanet.errors import ConfigError

PRIMARY = "train.yaml"
"""The root config of a run; a folder that holds it is a config tree."""


def config_dir() -> Path:
    """The folder of the config tree.

    Returns:
        `sbanet/conf` of an installed wheel, else `conf/` of the checkout that the package runs from.

    Raises:
        ConfigError: neither is there.
    """
    package = Path(__file__).resolve().parents[1]
    places = (package / "conf", package.parents[1] / "conf")
    for place in places:
        if (place / PRIMARY).is_file():
            return place
    raise ConfigError(f"the config tree is missing: no {PRIMARY} in {' or '.join(map(str, places))}; reinstall sbanet")
