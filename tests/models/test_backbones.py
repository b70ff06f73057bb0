"""Backbones: any image size in, four stages at strides 4, 8, 16, 32 out."""

import math

import pytest
import timm
import torch
import torch.nn.functional as F

from sbanet.models.backbones import SmallConvNet, SwinBackbone, pad_to_multiple

from .tiny import CHANNELS, SWIN, images, noise, stir

SIZES = [(64, 64), (65, 97), (33, 61), (5, 130), (4, 4), (1, 1), (1, 64)]


def small_conv():
    torch.manual_seed(0)
    return SmallConvNet(channels=CHANNELS, depths=(1, 2, 1, 1)).eval()


@pytest.fixture(params=["small_conv", "swin"])
def backbone(request):
    return small_conv() if request.param == "small_conv" else request.getfixturevalue("swin").eval()


def stages_of(backbone, image):
    visual, maps = backbone.stem(image), []
    for stage in backbone.stages:
        visual = stage(visual)
        maps.append(visual)
    return maps


@pytest.mark.parametrize("size", SIZES)
@torch.inference_mode()
def test_every_map_has_the_published_shape(backbone, size):
    assert backbone.stem(images(2, *size)).shape[-2:] == tuple(math.ceil(side / 4) for side in size)
    maps = stages_of(backbone, images(2, *size))
    expected = [
        (2, channels, *(math.ceil(side / stride) for side in size))
        for channels, stride in zip(backbone.channels, backbone.strides, strict=True)
    ]
    assert [tuple(stage.shape) for stage in maps] == expected
    assert all(stage.isfinite().all() for stage in maps)


@torch.inference_mode()
def test_an_image_is_padded_with_zeros_at_the_right_and_bottom(backbone):
    image = images(1, 62, 93)
    padded = F.pad(image, (0, 3, 0, 2))
    for ours, theirs in zip(stages_of(backbone, image), stages_of(backbone, padded), strict=True):
        assert torch.equal(ours, theirs)


@torch.inference_mode()
def test_images_of_a_batch_do_not_meet(backbone):
    image = images(3, 40, 50)
    for batched, alone in zip(stages_of(backbone, image), stages_of(backbone, image[1:2]), strict=True):
        torch.testing.assert_close(batched[1:2], alone, rtol=0, atol=1e-4)


def test_the_least_padding():
    assert pad_to_multiple(images(1, 8, 9), 4).shape == (1, 3, 8, 12)
    assert pad_to_multiple(images(1, 31, 1), 32).shape == (1, 3, 32, 32)


@torch.inference_mode()
def test_the_stages_are_timms_own(swin):
    reference = timm.create_model(SWIN, num_classes=0, always_partition=True).eval()
    reference.load_state_dict(swin.state_dict(), strict=False)
    image = images(1, 224, 224)
    expected = reference.forward_intermediates(image, intermediates_only=True)
    swin.eval()
    for ours, theirs in zip(stages_of(swin, image), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_a_swin_has_no_weights_that_feed_nothing(swin):
    assert {name.partition(".")[0] for name, _ in swin.named_parameters()} == {"patch_embed", "layers"}
    assert swin.channels == [96, 192, 384, 768]


def test_stochastic_depth_rises_to_the_rate_asked_for():
    rates = [
        module.drop_prob
        for module in SwinBackbone(name=SWIN, drop_path=0.2).modules()
        if type(module).__name__ == "DropPath"
    ]
    assert rates == sorted(rates)
    assert max(rates) == pytest.approx(0.2)


def test_no_weights_are_fetched_unless_asked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(timm, "create_model", lambda *_, pretrained, **__: asked.append(pretrained) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        SwinBackbone(name=SWIN)
    with pytest.raises(ZeroDivisionError):
        SwinBackbone(name=f"{SWIN}.ms_in1k", pretrained=True)
    assert asked == [False, True]


@pytest.mark.parametrize("name", ["resnet50", "swin_huge", "swinv2_tiny_window8_256", ""])
def test_other_names_than_swins(name):
    with pytest.raises(ValueError, match=rf"backbone.name: timm has no Swin '{name}'; known: .*{SWIN}"):
        SwinBackbone(name=name)


def test_residual_blocks_start_as_their_shortcuts():
    net = small_conv()
    visual = net.stem(images(1, 32, 32))
    assert torch.equal(net.stages[0](visual), visual)


def test_the_small_network_sees_in_both_directions():
    net = stir(small_conv()).double()
    image = noise(1, 3, 32, 32)
    for ours, theirs in zip(stages_of(net, image), stages_of(net, image.flip(3)), strict=True):
        assert not torch.allclose(ours, theirs)


@pytest.mark.parametrize("depths", [(1, 1, 1), (1, 1, 1, 1, 1)])
def test_as_many_depths_as_stages(depths):
    with pytest.raises(ValueError, match=r"channels.*depths"):
        SmallConvNet(channels=CHANNELS, depths=depths)
