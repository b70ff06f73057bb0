"""LAVT's decoder."""

import pytest
import torch
import torch.nn.functional as F

from sbanet.models.decoders.topdown import TopDownDecoder
from tests.models.tiny import CHANNELS, TOPDOWN, noise, stir

SIZES = [(17, 25), (9, 13), (5, 7), (3, 4)]


@pytest.mark.parametrize("name", TOPDOWN)
def test_against_the_formulas(name):
    decoder = stir(TOPDOWN[name](channels=CHANNELS)).double().eval()
    fused = [noise(2, count, *size) for count, size in zip(CHANNELS, SIZES, strict=True)]
    features = fused[3]
    for level, skip in zip(decoder.levels, fused[2::-1], strict=True):
        features = F.interpolate(features, skip.shape[-2:], mode="bilinear", align_corners=decoder.align_corners)
        features = torch.cat([features, skip], dim=1)
        for convolution, norm in ((level[0], level[1]), (level[3], level[4])):
            features = F.conv2d(features, convolution.weight, padding=1)
            deviation = (norm.running_var + 1e-5).sqrt()[:, None, None]
            features = (features - norm.running_mean[:, None, None]) / deviation
            features = (features * norm.weight[:, None, None] + norm.bias[:, None, None]).clamp(min=0)
    expected = decoder.classifier(features)
    logits = decoder([scale.clone() for scale in fused])
    assert logits.shape == ((2, 2, 17, 25) if decoder.num_outputs == 2 else (2, 17, 25))
    torch.testing.assert_close(logits, expected if decoder.num_outputs == 2 else expected[:, 0], rtol=0, atol=1e-10)


def test_the_width_is_half_of_the_last_stage_unless_given():
    assert TopDownDecoder(channels=CHANNELS).classifier.in_channels == 32
    assert TopDownDecoder(channels=CHANNELS, hidden=24).classifier.in_channels == 24


def test_the_inputs_are_left_as_they_were():
    fused = [noise(2, count, 4, 4, dtype=torch.float32) for count in CHANNELS]
    before = [scale.clone() for scale in fused]
    TopDownDecoder(channels=CHANNELS)(fused)
    assert all(torch.equal(a, b) for a, b in zip(fused, before, strict=True))
    assert len(fused) == 4


@pytest.mark.parametrize("num_outputs", [0, 3])
def test_other_numbers_of_outputs(num_outputs):
    with pytest.raises(ValueError, match=f"num_outputs: got {num_outputs}, expected 1 or 2"):
        TopDownDecoder(channels=CHANNELS, num_outputs=num_outputs)
