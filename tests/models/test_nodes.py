"""What the nodes exchange."""

import torch

from sbanet.models.nodes import ChannelLayerNorm, Tokenizer, pixels_last, pixels_to_map

from .by_hand import as_map, as_pixels
from .tiny import TOKENIZER, noise, padded_words, stir


def test_the_sentence_is_the_mean_of_its_own_words():
    words = padded_words(1, 4, 3, padding=100.0)
    for row, length in enumerate((1, 4, 3)):
        expected = words.features_BTD[row, :length].mean(0)
        torch.testing.assert_close(words.sentence_BD()[row], expected, rtol=0, atol=1e-12)


def test_pixels_and_back():
    features = noise(2, 3, 4, 5)
    pixels = pixels_last(features)
    assert torch.equal(pixels[1], as_pixels(features[1]))
    assert torch.equal(pixels_to_map(pixels, (4, 5)), features)
    assert torch.equal(pixels_to_map(pixels, features.shape[-2:])[0], as_map(pixels[0], 4, 5))


def test_channels_last_memory_is_not_copied():
    features = noise(2, 3, 4, 5).to(memory_format=torch.channels_last)
    pixels = pixels_last(features)
    assert pixels.is_contiguous()
    assert pixels.data_ptr() == features.data_ptr() == pixels_to_map(pixels, (4, 5)).data_ptr()


def test_layer_norm_over_channels():
    norm = stir(ChannelLayerNorm(3)).double()
    features = noise(2, 3, 4, 5)
    expected = torch.stack([as_map(torch.nn.LayerNorm.forward(norm, as_pixels(one)), 4, 5) for one in features])
    torch.testing.assert_close(norm(features), expected, rtol=0, atol=1e-12)


def test_the_word_tokenizer_keeps_the_protocol():
    assert isinstance(TOKENIZER, Tokenizer)
