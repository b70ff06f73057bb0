"""Words: their tokenizer and their transformer."""

import io

import pytest
import torch

from sbanet.models.text_encoders.word_transformer import PADDING, START, UNKNOWN, WordTokenizer, WordTransformer
from tests.models.tiny import SENTENCES, TOKENIZER, stir

START_ID, UNKNOWN_ID = TOKENIZER.ids[START], TOKENIZER.ids[UNKNOWN]


def encoder(tokenizer=TOKENIZER, **sizes):
    torch.manual_seed(0)
    return WordTransformer(tokenizer=tokenizer, **{"width": 64, "depth": 2, **sizes})


def test_a_sentence_opens_with_the_start_token_and_ends_in_padding():
    token_ids, token_mask = TOKENIZER(["ship", "the small ship"])
    ids = TOKENIZER.ids
    assert token_ids.dtype == torch.int64
    assert token_ids.tolist() == [
        [START_ID, ids["ship"], ids[PADDING], ids[PADDING]],
        [START_ID, ids["the"], ids["small"], ids["ship"]],
    ]
    assert token_mask.tolist() == [[True, True, False, False], [True] * 4]


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("The SMALL ship.", ["the", "small", "ship", "."]),
        ("ship-left,of", ["ship", "-", "left", ",", "of"]),
        ("  \t\n", []),
        ("", []),
        ("左边的船", ["左", "边", "的", "船"]),
        ("ship 🚢🚢", ["ship", "🚢", "🚢"]),
        ("bâtiment n°2", ["b", "â", "timent", "n", "°", "2"]),
        ("<pad> x", ["<", "pad", ">", "x"]),
    ],
)
def test_how_a_sentence_is_split(expression, words):
    assert TOKENIZER.split(expression) == words
    assert TOKENIZER.count(expression) == 1 + len(words)
    token_ids, token_mask = TOKENIZER([expression])
    known = [TOKENIZER.ids.get(word, UNKNOWN_ID) for word in words]
    assert token_ids.tolist() == [[START_ID, *known]]
    assert token_mask.all()


def test_words_that_are_not_in_the_vocabulary():
    assert TOKENIZER.unknown("the purple ship of Zürich") == ["purple", "z", "ü", "rich"]
    assert TOKENIZER.unknown("The small ship") == []


def test_a_sentence_beyond_the_cap_is_cut():
    expression = " ".join(["ship"] * 500)
    token_ids, token_mask = TOKENIZER([expression, "ship"])
    assert token_ids.shape == (2, TOKENIZER.max_tokens)
    assert token_mask.sum(1).tolist() == [TOKENIZER.max_tokens, 2]
    assert TOKENIZER.count(expression) == 501
    words = encoder()(token_ids, token_mask)
    assert words.features_BTD.shape == (2, TOKENIZER.max_tokens, 64)


def test_the_cap_counts_the_start_token():
    tokenizer = WordTokenizer(["ship"], max_tokens=1)
    assert tokenizer(["ship ship"])[0].tolist() == [[tokenizer.ids[START]]]
    with pytest.raises(ValueError, match="max_tokens: got 0, expected 1 or more"):
        WordTokenizer(["ship"], max_tokens=0)


def test_a_word_stands_once_in_the_vocabulary():
    with pytest.raises(ValueError, match=r"tokenizer.words: \['ship'\] stand more than once"):
        WordTokenizer(["ship", "tank", "ship"])
    with pytest.raises(ValueError, match=UNKNOWN):
        WordTokenizer(["ship", UNKNOWN])


@pytest.mark.parametrize("expressions", [[""], ["左边的船 🚢", "purple"], SENTENCES])
def test_words_of_any_sentence_are_finite(expressions):
    token_ids, token_mask = TOKENIZER(expressions)
    words = stir(encoder())(token_ids, token_mask)
    assert words.features_BTD.shape == (*token_ids.shape, 64)
    assert words.mask_BT is token_mask
    assert words.features_BTD.isfinite().all()
    assert torch.equal((words.features_BTD != 0).any(-1), token_mask)


def test_padding_changes_nothing():
    model = stir(encoder()).double()
    token_ids, token_mask = TOKENIZER(SENTENCES)
    batched = model(token_ids, token_mask).features_BTD
    garbage = torch.where(token_mask, token_ids, TOKENIZER.ids["tank"])
    assert not torch.equal(garbage, token_ids)
    torch.testing.assert_close(model(garbage, token_mask).features_BTD, batched, rtol=0, atol=0)
    for row, expression in enumerate(SENTENCES):
        alone = model(*TOKENIZER([expression])).features_BTD[0]
        torch.testing.assert_close(batched[row, : len(alone)], alone, rtol=0, atol=1e-12)


def test_the_order_of_the_words_matters():
    model = stir(encoder()).double()
    one, two = (model(*TOKENIZER([text])).sentence_BD() for text in ("ship left of tank", "tank left of ship"))
    assert (one - two).abs().amax() > 1e-3


def test_dropout_acts_in_training_alone():
    model, tokens = encoder(dropout=0.5), TOKENIZER(SENTENCES)
    assert not torch.equal(model(*tokens).features_BTD, model(*tokens).features_BTD)
    model.eval()
    assert torch.equal(model(*tokens).features_BTD, model(*tokens).features_BTD)


def test_the_vocabulary_travels_with_the_weights():
    file = io.BytesIO()
    torch.save(encoder().state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    restored = WordTransformer(tokenizer=TOKENIZER, width=64, depth=2)
    restored.load_state_dict(state, strict=True)
    tokens = TOKENIZER(SENTENCES)
    assert torch.equal(restored(*tokens).features_BTD, encoder()(*tokens).features_BTD)


@pytest.mark.parametrize(
    ("words", "differing"),
    [
        (["the", "small", "ship", "right", "of", "tank", "upper"], r"\['left', 'right'\]"),
        (["small", "the", "ship", "left", "of", "tank", "upper"], "their order"),
    ],
)
def test_another_vocabulary_is_refused(words, differing):
    other = encoder(WordTokenizer(words, max_tokens=TOKENIZER.max_tokens))
    with pytest.raises(ValueError, match=f"another vocabulary .*{differing}"):
        other.load_state_dict(encoder().state_dict())


def test_a_longer_vocabulary_is_refused():
    other = encoder(WordTokenizer([*TOKENIZER.words[3:], "dam"], max_tokens=TOKENIZER.max_tokens))
    with pytest.raises(ValueError, match=r"another vocabulary .*\['dam'\]"):
        other.load_state_dict(encoder().state_dict())
