"""LAVT's pixel-word attention."""

import pytest
import torch

from sbanet.models.alignment.pwam import PixelWordAttention, instance_norm
from tests.models import by_hand
from tests.models.tiny import WIDTH, noise, one_sentence, padded_words, stir


@pytest.mark.parametrize("stage", [0, 3])
@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("size", [(5, 7), (1, 2)])
def test_against_the_formulas(heads, stage, size):
    module = stir(PixelWordAttention(channels=16, width=WIDTH, stage=stage, heads=heads)).double()
    visual, words = noise(3, 16, *size), padded_words(4, 1, 6, padding=5.0)
    aligned = module(visual, words)
    assert aligned.words is words
    for row in range(3):
        alone = one_sentence(words, row).features_BTD[0]
        onwards, fused = by_hand.pixel_word_attention(module, visual[row], alone)
        torch.testing.assert_close(aligned.visual[row], onwards, rtol=0, atol=1e-10)
        torch.testing.assert_close(aligned.fused[row], fused, rtol=0, atol=1e-10)


def test_the_last_gate_is_kept_for_its_weights_but_frozen():
    module = PixelWordAttention(channels=8, width=WIDTH, stage=3)
    visual = noise(1, 8, 4, 4, dtype=torch.float32)
    words = padded_words(3)._replace(features_BTD=noise(1, 3, WIDTH, dtype=torch.float32))
    assert module(visual, words).visual is visual
    frozen = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
    assert frozen == {"gate.0.weight", "gate.2.weight"}
    earlier = PixelWordAttention(channels=8, width=WIDTH, stage=2)
    assert earlier.state_dict().keys() == module.state_dict().keys()
    assert all(parameter.requires_grad for parameter in earlier.parameters())


def test_dropout_acts_in_training_alone():
    module = PixelWordAttention(channels=8, width=WIDTH, stage=0, dropout=0.5).double()
    visual, words = noise(1, 8, 4, 4), padded_words(3)
    assert not torch.equal(module(visual, words).fused, module(visual, words).fused)
    module.eval()
    assert torch.equal(module(visual, words).fused, module(visual, words).fused)


def test_heads_that_do_not_divide_the_channels():
    with pytest.raises(ValueError, match=r"alignment.heads: 3 heads do not divide 8 channels"):
        PixelWordAttention(channels=8, width=WIDTH, stage=0, heads=3)


def test_instance_norm():
    pixels = noise(2, 35, 6)
    expected = torch.nn.functional.instance_norm(pixels.transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(instance_norm(pixels), expected, rtol=0, atol=1e-12)
    half = instance_norm((100 + pixels).bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), instance_norm((100 + pixels).bfloat16().float()), rtol=0.01, atol=0.01)
    assert torch.equal(instance_norm(pixels[:, :1]), torch.zeros(2, 1, 6, dtype=torch.float64))
