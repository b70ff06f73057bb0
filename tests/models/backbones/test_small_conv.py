"""The small network from scratch."""

import pytest
import torch

from sbanet.models.backbones.padding import pad_to_multiple
from sbanet.models.backbones.small_conv import SmallConvNet
from tests.models.backbones.stages import maps_of
from tests.models.tiny import CHANNELS, images, noise, stir


def small_conv():
    torch.manual_seed(0)
    return SmallConvNet(channels=CHANNELS, depths=(1, 2, 1, 1)).eval()


def test_the_least_padding():
    assert pad_to_multiple(images(1, 8, 9), 4).shape == (1, 3, 8, 12)
    assert pad_to_multiple(images(1, 31, 1), 32).shape == (1, 3, 32, 32)


def test_residual_blocks_start_as_their_shortcuts():
    net = small_conv()
    visual = net.stem(images(1, 32, 32))
    assert torch.equal(net.stages[0](visual), visual)


def test_it_sees_in_both_directions():
    net = stir(small_conv()).double()
    image = noise(1, 3, 32, 32)
    for ours, theirs in zip(maps_of(net, image), maps_of(net, image.flip(3)), strict=True):
        assert not torch.allclose(ours, theirs)


@pytest.mark.parametrize("depths", [(1, 1, 1), (1, 1, 1, 1, 1)])
def test_as_many_depths_as_stages(depths):
    with pytest.raises(ValueError, match=r"channels.*depths"):
        SmallConvNet(channels=CHANNELS, depths=depths)
