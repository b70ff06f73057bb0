"""What holds of every alignment, with every switch."""

import pytest
import torch

from tests.models.tiny import ALIGNMENTS, WIDTH, noise, padded_words, stir


@pytest.mark.parametrize("stage", [0, 3])
@pytest.mark.parametrize("name", ALIGNMENTS)
def test_shapes_are_kept(name, stage):
    module = ALIGNMENTS[name](channels=16, width=WIDTH, stage=stage).double()
    assert module.reads_words == (name != "none")
    for size, lengths in (((5, 7), (3, 6)), ((1, 1), (1, 1)), ((1, 12), (2, 1))):
        visual, words = noise(2, 16, *size), padded_words(*lengths)
        aligned = module(visual, words)
        assert aligned.visual.shape == aligned.fused.shape == visual.shape
        assert aligned.words.features_BTD.shape == words.features_BTD.shape
        assert torch.equal(aligned.words.mask_BT, words.mask_BT)


@pytest.mark.parametrize("name", ALIGNMENTS)
def test_the_fused_map_is_normalised(name):
    fused = ALIGNMENTS[name](channels=16, width=WIDTH, stage=0).double()(noise(2, 16, 5, 7), padded_words(3, 6)).fused
    torch.testing.assert_close(fused.mean(1), torch.zeros(2, 5, 7, dtype=torch.float64), rtol=0, atol=1e-10)
    # the variance falls short of 1 by the norm's epsilon, much where the unstirred signal is faint
    assert (fused.var(1, unbiased=False) <= 1 + 1e-10).all()


@pytest.mark.parametrize("name", [name for name in ALIGNMENTS if name != "none"])
def test_pixels_hear_the_words(name):
    module = stir(ALIGNMENTS[name](channels=16, width=WIDTH, stage=0)).double()
    visual, words = noise(2, 16, 5, 7), padded_words(3, 6)
    other = words._replace(features_BTD=words.features_BTD.flip(-1))
    one, two = module(visual, words), module(visual, other)
    assert (one.fused - two.fused).abs().amax() > 1e-6
    assert (one.visual - two.visual).abs().amax() > 1e-6
