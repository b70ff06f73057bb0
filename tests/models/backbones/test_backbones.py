"""What every backbone promises: any image size in, four stages at strides 4, 8, 16, 32 out."""

import math

import pytest
import torch
import torch.nn.functional as F

from sbanet.models.backbones.small_conv import SmallConvNet
from sbanet.models.backbones.timm_backbone import TimmBackbone
from tests.models.backbones.stages import maps_of
from tests.models.tiny import CHANNELS, SWIN, images

SIZES = [(64, 64), (65, 97), (33, 61), (62, 94), (5, 130), (4, 4), (1, 1), (1, 64)]

FAMILIES = {
    "swin": SWIN,
    "swinv2": "swinv2_tiny_window8_256",
    "convnext": "convnext_atto",
    "resnet": "resnet18",
    "resnet50": "resnet50",
    "pvt_v2": "pvt_v2_b0",
    "efficientnet_lite": "tf_efficientnet_lite0",
    "regnet": "regnety_002",
    "mobilenet": "mobilenetv3_small_100",
    "poolformer": "poolformer_s12",
    "densenet": "densenet121",
}
"""One timm model a family, the smallest there is."""


@pytest.fixture(scope="module", params=["small_conv", *FAMILIES])
def backbone(request):
    torch.manual_seed(0)
    if request.param == "small_conv":
        return SmallConvNet(channels=CHANNELS, depths=(1, 2, 1, 1)).eval()
    return TimmBackbone(name=FAMILIES[request.param]).eval()


@pytest.mark.parametrize("size", SIZES)
@torch.inference_mode()
def test_every_map_has_the_published_shape(backbone, size):
    maps = maps_of(backbone, images(2, *size))
    expected = [
        (2, channels, *(math.ceil(side / stride) for side in size))
        for channels, stride in zip(backbone.channels, backbone.strides, strict=True)
    ]
    assert [tuple(stage.shape) for stage in maps] == expected
    assert all(stage.isfinite().all() for stage in maps)


@torch.inference_mode()
def test_images_of_a_batch_do_not_meet(backbone):
    image = images(3, 40, 50)
    for batched, alone in zip(maps_of(backbone, image), maps_of(backbone, image[1:2]), strict=True):
        torch.testing.assert_close(batched[1:2], alone, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize("name", ["small_conv", "swin"])
def test_an_image_is_padded_with_zeros_at_the_right_and_bottom(name):
    backbone = (SmallConvNet(channels=CHANNELS) if name == "small_conv" else TimmBackbone(name=SWIN)).eval()
    image = images(1, 62, 93)
    padded = F.pad(image, (0, 3, 0, 2))
    for ours, theirs in zip(maps_of(backbone, image), maps_of(backbone, padded), strict=True):
        assert torch.equal(ours, theirs)


def test_every_backbone_says_how_its_images_are_normalised(backbone):
    assert len(backbone.mean) == len(backbone.std) == 3
