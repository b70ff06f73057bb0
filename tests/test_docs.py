"""The pages of the datasets: one for each config, with commands that compose."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from sbanet.config import compose, config_dir
from sbanet.dataset import KEYS

PAGES = sorted((Path(__file__).parents[1] / "docs" / "datasets").glob("*.md"))


def test_every_dataset_has_a_page() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for config in (config_dir() / "data").glob("*.yaml"):
        assert config.stem == "aeroscenes" or re.search(rf"data={config.stem}\b|`{config.stem}`", text), config.stem


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_its_commands_compose(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    commands = re.findall(r"^sbanet-data (.+?)(?: {2,}#.*)?$", text, re.MULTILINE)
    assert any(command.startswith("check ") for command in commands)
    assert "Licence" in text
    assert "Layout" in text or page.stem == "open"
    for command in commands:
        action, *arguments = shlex.split(command)
        compose("train", [one for one in arguments if one.partition("=")[0] not in KEYS[action]])
