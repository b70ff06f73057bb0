"""The configs speak to the code as it is: every option composes, every key is an argument that exists."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.utils import get_class, get_object
from omegaconf import OmegaConf

from sbanet.config import check, compose, config_dir
from sbanet.config.rules import SUPPLIED

HYDRAS = {"_target_", "_partial_", "_recursive_", "_convert_", "_args_"}
FILES = sorted(
    path
    for path in config_dir().rglob("*.yaml")
    if not {"experiment", "hydra", "recipe", "variant"} & set(path.relative_to(config_dir()).parts)
)
PAPERS = ("sbanet.models.", "sbanet.training.losses.", "sbanet.training.optimizers.", "sbanet.training.schedules.")
GROUPS = sorted({path.parent for path in FILES} - {config_dir()})

NEEDED = {
    "model=rmsin": ["data.image_size=480"],
    "model/aggregator=cim": ["model.aggregator.grid=[5,5]", "model.aggregator.layout=intended"],
    "model/backbone=timm": ["model.backbone.name=resnet18"],
    "model/text_encoder=transformers": ["model.text_encoder.source=some/encoder"],
    "data=instances": ["data.root=data"],
    "data=open": ["data.root=data"],
}
"""What an option asks its user for."""


def name_of(path: Path) -> str:
    return str(path.relative_to(config_dir()).with_suffix(""))


def nodes_of(value: Any, key: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """(dotted key, node) of every node with a target."""
    if isinstance(value, dict):
        if "_target_" in value:
            yield key, value
        for name, entry in value.items():
            yield from nodes_of(entry, f"{key}.{name}".lstrip("."))
    elif isinstance(value, list):
        for position, entry in enumerate(value):
            yield from nodes_of(entry, f"{key}.{position}")


def arguments_of(target: str) -> dict[str, inspect.Parameter]:
    """The arguments of a target; where it hands `**options` to its base, those of the base as well."""
    function = get_object(target)
    if not inspect.isclass(function):
        return dict(inspect.signature(function).parameters)
    arguments: dict[str, inspect.Parameter] = {}
    for kind in get_class(target).__mro__:
        if "__init__" not in vars(kind):
            continue
        own = list(inspect.signature(vars(kind)["__init__"]).parameters.values())[1:]
        arguments = {parameter.name: parameter for parameter in own} | arguments
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in own):
            break
    return arguments


def composed_options() -> dict[str, dict[str, Any]]:
    """The resolved config of every option of every group, each beside the defaults of the others."""
    configs = {}
    for path in FILES:
        if path.parent != config_dir():
            group, _, option = name_of(path).rpartition("/")
            chosen = f"{group}={option}"
            cfg = compose("train", [chosen, *NEEDED.get(chosen, []), "paths.run=run"])
            configs[f"{group}={option}"] = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    return configs


@pytest.fixture(scope="module")
def options() -> dict[str, dict[str, Any]]:
    return composed_options()


@pytest.mark.parametrize("group", GROUPS, ids=lambda path: str(path.relative_to(config_dir())))
def test_every_option_of_a_group_passes_the_check(group: Path) -> None:
    name = group.relative_to(config_dir())
    chosen = [f"{name}={path.stem}" for path in sorted(group.glob("*.yaml"))]
    found = {option: check(compose("train", [option, *NEEDED.get(option, [])])) for option in chosen}
    assert found
    assert {option: problems for option, problems in found.items() if problems} == {}


def test_every_key_is_an_argument(options: dict[str, dict[str, Any]]) -> None:
    unknown = {
        f"{option}: {key}.{name}"
        for option, config in options.items()
        for key, node in nodes_of(config)
        for name in node
        if name not in HYDRAS
        and name not in arguments_of(node["_target_"])
        and not any(p.kind is p.VAR_KEYWORD for p in arguments_of(node["_target_"]).values())
    }
    assert unknown == set()


def test_every_argument_without_a_default_is_given(options: dict[str, dict[str, Any]]) -> None:
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    missing = set()
    for option, config in options.items():
        for key, node in nodes_of(config):
            supplied = SUPPLIED.get(key, frozenset())
            for name, parameter in arguments_of(node["_target_"]).items():
                needed = parameter.default is parameter.empty and parameter.kind in named
                # a base's argument that the class gives itself
                given_by_class = name not in inspect.signature(get_object(node["_target_"])).parameters
                if needed and name not in node and name not in supplied and not given_by_class:
                    missing.add(f"{option}: {key}.{name}")
    # an optimizer is completed by its parameter groups, by position
    assert missing == {name for name in missing if name.endswith("optim.optimizer.params")}
    assert missing


def test_no_option_hides_a_value_that_a_paper_would_report(options: dict[str, dict[str, Any]]) -> None:
    """What the model, the loss and the optimisation take can be read in the configs."""
    set_somewhere: dict[str, set[str]] = {}
    for config in options.values():
        for _, node in nodes_of(config):
            set_somewhere.setdefault(node["_target_"], set()).update(node)
    hidden = {
        f"{target}.{name}"
        for target, given in set_somewhere.items()
        if target.startswith(PAPERS)
        for name, parameter in arguments_of(target).items()
        if parameter.default is not parameter.empty
        and name not in given
        and name not in ("warmup_steps", "files", "stages")
    }
    assert hidden == set()


def test_arguments_are_really_looked_up() -> None:
    assert "channels" in arguments_of("sbanet.models.backbones.small_conv.SmallConvNet")
    assert {"cache", "image_size"} <= arguments_of("sbanet.data.datamodules.AeroScenesDataModule").keys()
    with pytest.raises(Exception, match="no_such"):
        arguments_of("sbanet.models.no_such")


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_are_plain_yaml_without_tabs_and_repeated_keys(path: Path) -> None:
    class Strict(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            assert len(keys) == len(set(keys)), f"{path}: a key twice"
            return super().construct_mapping(node, deep)

    yaml.load(path.read_text(encoding="utf-8"), Strict)
