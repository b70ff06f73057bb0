"""Attention that is recorded is the attention that was computed, and recording changes nothing."""

from __future__ import annotations

import pytest
import torch

from sbanet.models.attention import Attention
from sbanet.models.attention_maps import StageAttention, recorded_attention
from sbanet.models.segmenter import ReferringSegmenter
from tests.models.tiny import BAM, ONE_OF_EACH, SENTENCES, TOKENIZER, images, noise, segmenter, stir

QUERIES = 4


@pytest.fixture(scope="module")
def model() -> ReferringSegmenter:
    return stir(segmenter()).eval()


@pytest.fixture(scope="module")
def recorded(model: ReferringSegmenter) -> dict[int, StageAttention]:
    with recorded_attention(model) as stages, torch.no_grad():
        model(images(3, 32, 48), *TOKENIZER(SENTENCES))
    return stages


def test_every_stage_is_recorded_at_its_size(recorded: dict[int, StageAttention]) -> None:
    tokens = TOKENIZER(SENTENCES)[0].shape[1]
    assert list(recorded) == [0, 1, 2, 3]
    for stage, attention in recorded.items():
        height, width = -(-32 // 2 ** (stage + 2)), -(-48 // 2 ** (stage + 2))
        assert attention.words_BKT.shape == (3, QUERIES, tokens)
        assert attention.regions_BKHW.shape == (3, QUERIES, height, width)
        assert attention.read_queries_BHWK.shape == (3, height, width, QUERIES)
        assert attention.read_words_BHWT.shape == (3, height, width, tokens)


def test_weights_sum_to_one_over_what_is_there(recorded: dict[int, StageAttention]) -> None:
    mask = TOKENIZER(SENTENCES)[1]
    assert not mask.all()
    for attention in recorded.values():
        read = attention.read_queries_BHWK.sum(-1) + attention.read_words_BHWT.sum(-1)
        for total in (attention.words_BKT.sum(-1), attention.regions_BKHW.sum((-2, -1)), read):
            torch.testing.assert_close(total, torch.ones_like(total))
        assert (attention.words_BKT.transpose(1, 2)[~mask] == 0).all()
        assert (attention.words_BKT.transpose(1, 2)[mask] > 0).all()
        assert (attention.read_words_BHWT.permute(0, 3, 1, 2)[~mask] == 0).all()


@pytest.mark.parametrize("masked", [True, False])
def test_weights_times_values_are_the_output(masked: bool) -> None:
    module = stir(Attention(64, 24)).double()
    query, source = noise(2, 5, 64), noise(2, 6, 24, seed=4)
    mask = torch.arange(6) < torch.tensor([[6], [2]]) if masked else None
    weights = module.weights(query, source, mask).double()
    value = module.key_value(source).chunk(2, dim=-1)[1].unflatten(-1, (2, -1)).transpose(1, 2)
    output = module.output((weights @ value).transpose(1, 2).flatten(2))
    torch.testing.assert_close(output, module(query, source, mask), rtol=0, atol=1e-5)


def test_what_is_recorded_is_the_mean_of_the_heads_in_the_model(model: ReferringSegmenter) -> None:
    attention = model.alignments[3].gather.from_words
    seen = []
    handle = attention.register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    with recorded_attention(model) as stages, torch.no_grad():
        model(images(1, 32, 32), *TOKENIZER(SENTENCES[1:2]))
        expected = attention.weights(*seen[0]).mean(1)
    handle.remove()
    torch.testing.assert_close(stages[3].words_BKT, expected)


def test_recording_changes_nothing_and_ends(model: ReferringSegmenter) -> None:
    inputs = (images(2, 32, 32), *TOKENIZER(SENTENCES[:2]))
    with torch.no_grad():
        before = model(*inputs)
        with recorded_attention(model) as stages:
            assert torch.equal(model(*inputs), before)
        first = dict(stages)
        model(*inputs)
    assert stages == first
    with pytest.raises(RuntimeError, match="stopped"), recorded_attention(model):
        raise RuntimeError("stopped")
    assert not any(module._forward_hooks for module in model.modules())


def test_a_later_pass_replaces_the_earlier(model: ReferringSegmenter) -> None:
    with recorded_attention(model) as stages, torch.inference_mode():
        model(images(1, 32, 32), *TOKENIZER(["ship"]))
        model(images(1, 32, 32), *TOKENIZER(["the small ship"]))
    assert stages[0].words_BKT.shape == (1, QUERIES, 4)


def test_only_the_stages_with_queries_are_there() -> None:
    model = segmenter(alignment=BAM["bam-4-both"], alignment_stages=(1, 3)).eval()
    with recorded_attention(model) as stages:
        model(images(1, 32, 32), *TOKENIZER(["ship"]))
    assert list(stages) == [1, 3]


@pytest.mark.parametrize("kind", ["bam-direct", "pwam", "none"])
def test_a_model_without_queries_is_refused(kind: str) -> None:
    expected = r"model\.alignment: got \w+ without queries; expected .*model/alignment=bam"
    with pytest.raises(ValueError, match=expected), recorded_attention(segmenter(alignment=ONE_OF_EACH[kind])):
        pass
