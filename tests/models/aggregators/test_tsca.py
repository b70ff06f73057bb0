"""SBANet's text-conditioned channel and spatial aggregator."""

import pytest
import torch
import torch.nn.functional as F

from sbanet.models.aggregators.tsca import TextConditionedAggregator
from tests.models.by_hand import gelu
from tests.models.tiny import ALL_OF_TSCA, CHANNELS, TSCA, WIDTH, noise, padded_words, stir

SIZES = [(16, 10), (8, 5), (4, 3), (2, 2)]


def fused_maps(seed=0):
    sizes = zip(CHANNELS, SIZES, strict=True)
    return [noise(2, count, *size, seed=seed + stage) for stage, (count, size) in enumerate(sizes)]


def aggregator(name="tsca-channel-spatial-text_conditioned"):
    return TSCA[name](channels=CHANNELS, width=WIDTH).double()


@pytest.mark.parametrize("name", TSCA)
def test_the_identity_at_first(name):
    fused = fused_maps()
    for before, after in zip(fused, aggregator(name)(fused, padded_words(3, 5)), strict=True):
        assert torch.equal(before, after)


@pytest.mark.parametrize("name", TSCA)
def test_against_the_formulas(name):
    module = stir(aggregator(name))
    fused, words = fused_maps(), padded_words(3, 5, padding=9.0)
    sentence = torch.stack([words.features_BTD[0, :3].mean(0), words.features_BTD[1].mean(0)])
    grid = [F.adaptive_avg_pool2d(fused[0], (4, 3)), F.adaptive_avg_pool2d(fused[1], (4, 3)), fused[2]]
    grid.append(F.interpolate(fused[3], (4, 3), mode="bilinear"))
    x = torch.cat([project(scale) for project, scale in zip(module.project, grid, strict=True)], dim=1)
    if module.channel is not None:
        facts = torch.cat([x.mean((2, 3)), x.amax((2, 3))], dim=1)
        if module.channel.with_sentence:
            facts = torch.cat([facts, sentence], dim=1)
        narrow, _, widen = module.channel.mlp
        x = x * 2 * torch.sigmoid(widen(gelu(narrow(facts))))[..., None, None]
    if module.spatial is not None:
        facts = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
        if module.spatial.sentence is not None:
            direction = module.spatial.sentence(sentence)[..., None, None]
            agreement = (x * direction).sum(1, keepdim=True) / x.shape[1] ** 0.5
            facts = torch.cat([facts, agreement], dim=1)
        x = x * (1 + torch.tanh(module.spatial.score(facts)))
    x = x + module.mix(x)
    outputs = module(fused, words)
    for stage, scale in enumerate(fused):
        restored = module.restore[stage](x[:, 8 * stage : 8 * stage + 8])
        size = SIZES[stage]
        restored = (
            F.adaptive_avg_pool2d(restored, size) if stage == 3 else F.interpolate(restored, size, mode="bilinear")
        )
        expected = scale + module.gates[stage] * restored
        torch.testing.assert_close(outputs[stage], expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", TSCA)
def test_the_sentence_is_read_only_where_it_conditions_something(name):
    module, words = stir(aggregator(name)), padded_words(3, 5)
    other = words._replace(features_BTD=-words.features_BTD)
    one, two = module(fused_maps(), words), module(fused_maps(), other)
    conditioned = "text_conditioned" in name and ("channel" in name or "spatial" in name)
    assert module.reads_words == conditioned
    assert all(torch.equal(a, b) != conditioned for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("source", range(4))
def test_every_scale_reaches_every_scale(source):
    module, words = stir(aggregator()), padded_words(3, 5)
    changed = fused_maps()
    changed[source] = changed[source] + noise(*changed[source].shape, seed=9)
    for before, after in zip(module(fused_maps(), words), module(changed, words), strict=True):
        assert (before - after).abs().amax() > 1e-6


@pytest.mark.parametrize(
    "sizes", [[(1, 1)] * 4, [(17, 25), (9, 13), (5, 7), (3, 4)], [(1, 16), (1, 8), (1, 4), (1, 2)]]
)
def test_any_size(sizes):
    module = stir(aggregator())
    fused = [noise(2, count, *size) for count, size in zip(CHANNELS, sizes, strict=True)]
    outputs = module(fused, padded_words(3, 5))
    assert [output.shape for output in outputs] == [scale.shape for scale in fused]
    assert all(output.isfinite().all() for output in outputs)


def test_groups_that_do_not_divide_the_width():
    with pytest.raises(ValueError, match="groups=3 does not divide hidden=8"):
        TextConditionedAggregator(channels=CHANNELS, width=WIDTH, hidden=8, groups=3)


def test_switches_leave_nothing_behind():
    assert not {"channel", "spatial"} & {name.split(".")[0] for name, _ in aggregator("tsca").named_parameters()}
    assert "spatial.sentence.weight" in dict(ALL_OF_TSCA(channels=CHANNELS, width=WIDTH).named_parameters())
