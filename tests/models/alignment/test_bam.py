"""SBANet's bidirectional alignment."""

import pytest
import torch

from sbanet.models.alignment.bam import BidirectionalAlignment
from sbanet.models.nodes import Words
from tests.models import by_hand
from tests.models.tiny import WIDTH, noise, one_sentence, padded_words, stir


def alignment(stage=0, channels=32, **switches):
    switches = {"num_queries": 4, "head_width": 16, **switches}
    return stir(BidirectionalAlignment(channels=channels, width=WIDTH, stage=stage, **switches)).double()


@pytest.mark.parametrize("stage", [1, 3])
@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"inner_width": 48},
        {"num_queries": 0},
        {"num_queries": 0, "inner_width": 16},
        {"num_queries": 1, "vision_to_language": False},
        {"num_queries": 0, "vision_to_language": False},
        {"text_guided_selection": False, "macro_kernel": 5, "macro_dilation": 2},
    ],
    ids=str,
)
def test_against_the_formulas(switches, stage):
    module = alignment(stage, **switches)
    visual, words = noise(3, 32, 5, 7), padded_words(4, 1, 6, padding=5.0)
    aligned = module(visual, words)
    for row in range(3):
        alone = one_sentence(words, row).features_BTD[0]
        onwards, updated, fused = by_hand.bidirectional_alignment(module, visual[row], alone)
        torch.testing.assert_close(aligned.visual[row], onwards, rtol=0, atol=1e-10)
        torch.testing.assert_close(aligned.words.features_BTD[row, : len(alone)], updated, rtol=0, atol=1e-10)
        torch.testing.assert_close(aligned.fused[row], fused, rtol=0, atol=1e-10)


@pytest.mark.parametrize("num_queries", [0, 4])
def test_the_words_learn_from_the_pixels_and_padding_does_not(num_queries):
    words, visual = padded_words(4, 2, padding=5.0), noise(2, 32, 5, 7)
    updated = alignment(num_queries=num_queries)(visual, words).words
    assert torch.equal(updated.mask_BT, words.mask_BT)
    changed = (updated.features_BTD != words.features_BTD).any(-1)
    assert torch.equal(changed, words.mask_BT)


def test_one_way_alignment_hands_the_words_on():
    words = padded_words(4, 2)
    assert alignment(vision_to_language=False)(noise(2, 32, 5, 7), words).words is words


def test_the_last_stage_has_no_gate():
    visual = noise(2, 32, 2, 2)
    last = alignment(stage=3)
    assert last.gate is None
    assert last(visual, padded_words(4, 2)).visual is visual
    assert alignment(stage=2).gate is not None


@pytest.mark.parametrize("scale", [0, 1, 0.1])
def test_the_words_update_starts_at_the_scale_asked_for(scale):
    module = BidirectionalAlignment(channels=8, width=WIDTH, stage=0, language_scale=scale)
    assert module.to_language.scale.item() == pytest.approx(scale)
    words = Words(noise(1, 3, WIDTH, dtype=torch.float32), torch.ones(1, 3, dtype=torch.bool))
    updated = module(noise(1, 8, 4, 4, dtype=torch.float32), words).words.features_BTD
    assert torch.equal(updated, words.features_BTD) == (scale == 0)


def test_queries_are_distinct():
    module = alignment()
    pixels, words = noise(1, 35, 32), noise(1, 4, WIDTH)
    queries = module.gather(pixels, words, torch.ones(1, 4, dtype=torch.bool))[0]
    assert (torch.pdist(queries) > 1e-3).all()


def test_bad_numbers():
    with pytest.raises(ValueError, match="num_queries: got -1, expected 0 or more"):
        alignment(num_queries=-1)
    with pytest.raises(ValueError, match="features: unknown 'all'"):
        alignment(features="all")
