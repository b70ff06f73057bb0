"""RMSIN's cross-scale interaction."""

import math
import re

import pytest
import torch
import torch.nn.functional as F

from sbanet.models.aggregators.cim import ConvolutionalFeedForward, CrossScaleInteraction, ScaleAwareGate
from sbanet.models.aggregators.cross_scale_attention import (
    CrossScaleAttention,
    attended_rows,
    count_tokens,
    shrinking,
    value_rows,
)
from tests.models import by_hand
from tests.models.tiny import CHANNELS, WIDTH, noise, padded_words, stir

HEADS = {"heads": 3, "key_width": 4, "value_width": 5}
GRIDS = [((2, 2), "intended"), ((3, 5), "intended"), ((1, 4), "intended"), ((15, 15), "released"), ((7, 2), "intended")]

# in training a BatchNorm that follows takes away what is the same at all places
TAKEN_AWAY = re.compile(
    r"^((reduce|norm|restore)|.*(feed_forward|feed_forwards\.\d)\.(norm|widen|narrow)|gates\.\d\.\w+\.0"
    r"|.*_attention\.(at_half\.0|at_third\.0|local|output|output_projection))\.bias$"
)


def aggregator(grid, layout):
    return CrossScaleInteraction(channels=CHANNELS, width=WIDTH, grid=grid, layout=layout, **HEADS)


def fused_maps(grid, odd=0):
    """Maps of an image whose sides are `odd` (0 or 1) cells of stage 0 short of a multiple of 32."""
    sizes = [tuple(math.ceil((8 * side - odd) / 2**stage) for side in grid) for stage in range(4)]
    assert sizes[3] == grid
    return [noise(2, count, *size, seed=stage) for stage, (count, size) in enumerate(zip(CHANNELS, sizes, strict=True))]


def shifted_relu6(x):
    return (x + 3).clamp(0, 6)


def hardswish(x):
    return x * shifted_relu6(x) / 6


def rows_by_index(attended, value, layout):
    """One sample's (heads, M, width) and (heads, P, width) -> (E, M) and (E, P), number by number."""
    (heads, tokens, width), positions = attended.shape, value.shape[1]
    inner = heads * width
    mixed, own = torch.empty(inner, tokens).double(), torch.empty(inner, positions).double()
    for channel in range(inner):
        for token in range(tokens):
            flat = channel * tokens + token
            mixed[channel, token] = (
                attended[flat % inner // width, flat // inner, flat % width]
                if layout == "released"
                else attended[channel // width, token, channel % width]
            )
        for position in range(positions):
            flat = channel % width * positions + position
            own[channel, position] = (
                value[channel // width, flat // width, flat % width]
                if layout == "released"
                else value[channel // width, position, channel % width]
            )
    return mixed, own


def cross_scale_attention(module, features):
    """A batch through the attention, the samples one by one where the normalisations allow."""
    batch, channels, height, width = features.shape
    views = [by_hand.batch_norm(module.norm, features)]
    for convolution, norm in (module.at_half, module.at_third):
        padding = convolution.kernel_size[0] // 2
        everywhere = F.conv2d(views[0], convolution.weight, convolution.bias, padding=padding, groups=channels)
        step = convolution.stride[0]
        views.append(by_hand.batch_norm(norm, everywhere[:, :, ::step, ::step]))
    tokens = torch.cat([torch.stack([by_hand.as_pixels(sample) for sample in view]) for view in views], dim=1)
    projected = (tokens.flatten(0, 1) @ module.qkv.weight.T)[:, :, None]
    projected = by_hand.batch_norm(module.qkv_norm, projected).reshape(batch, tokens.shape[1], -1)

    key, value, heads = HEADS["key_width"], HEADS["value_width"], HEADS["heads"]
    combined = []
    for sample in projected:
        attended, values = [], []
        for head in sample.split(2 * key + value, dim=1):
            q, k, v = head[:, :key], head[:, key : 2 * key], head[:, 2 * key :]
            exponentials = (q @ k.T / key**0.5).exp()
            attended.append(exponentials / exponentials.sum(1, keepdim=True) @ v)
            values.append(v[: height * width])
        rows, own = rows_by_index(torch.stack(attended), torch.stack(values), module.layout)
        mixed = rows @ module.position_mix.weight.T + module.position_mix.bias
        on_map = hardswish(own).reshape(1, heads * value, height, width)
        local = F.conv2d(on_map, module.local.weight, module.local.bias, padding=1, groups=heads * value)
        combined.append(mixed + local.reshape(heads * value, -1))
    output = torch.stack([rows.T @ module.output.weight.T + module.output.bias for rows in combined])
    output = torch.stack([by_hand.as_map(sample, height, width) for sample in output])
    return pointwise(module.output_projection, hardswish(by_hand.batch_norm(module.output_norm, output)))


def pointwise(convolution, features):
    weight = convolution.weight[:, :, 0, 0]
    return torch.einsum("oi,bihw->bohw", weight, features) + convolution.bias[:, None, None]


def feed_forward(module, features):
    wide = by_hand.batch_norm(module.wide_norm, pointwise(module.widen, by_hand.batch_norm(module.norm, features)))
    pairs = [
        F.conv2d(wide[:, part], module.filter.weight[part], module.filter.bias[part], padding=1)
        for part in (slice(2 * pair, 2 * pair + 2) for pair in range(features.shape[1]))
    ]
    return pointwise(module.narrow, torch.cat(pairs, dim=1).clamp(0, 6))


def gate(module, scale, part):
    def embed(layers, features):
        return by_hand.batch_norm(layers[1], pointwise(layers[0], features))

    def up(features):
        return F.interpolate(features, scale.shape[-2:], mode="bilinear", align_corners=False)

    importance = shifted_relu6(embed(module.importance, part)) / 6
    return embed(module.local, scale) * up(importance) + up(embed(module.context, part))


def cross_scale_interaction(module, fused, grid):
    z = pointwise(module.reduce, torch.cat([F.adaptive_avg_pool2d(scale, grid) for scale in fused], dim=1))
    z = z + cross_scale_attention(module.first_attention, z)
    start, within = 0, []
    for count, part in zip(CHANNELS, module.scale_feed_forwards, strict=True):
        within.append(feed_forward(part, z[:, start : start + count // 4]))
        start += count // 4
    z = 2 * z + torch.cat(within, dim=1)
    z = z + cross_scale_attention(module.second_attention, z)
    z = z + feed_forward(module.feed_forward, z)
    restored = pointwise(module.restore, by_hand.batch_norm(module.norm, z))
    start, outputs = 0, []
    for count, scale, scale_gate in zip(CHANNELS, fused, module.gates, strict=True):
        outputs.append(gate(scale_gate, scale, restored[:, start : start + count]))
        start += count
    return outputs


@pytest.mark.parametrize("layout", ["released", "intended"])
@pytest.mark.parametrize(("heads", "tokens", "width", "positions"), [(8, 9, 6, 4), (2, 14, 3, 9), (1, 3, 5, 1)])
def test_the_layouts_index_by_index(layout, heads, tokens, width, positions):
    attended = torch.arange(2.0 * heads * tokens * width).double().reshape(2, heads, tokens, width)
    value = attended[:, :, :positions]
    for row in range(2):
        mixed, own = rows_by_index(attended[row], value[row], layout)
        assert torch.equal(attended_rows(attended, layout)[row], mixed)
        assert torch.equal(value_rows(value, layout)[row], own)


def test_the_layouts_differ():
    attended = noise(1, 2, 6, 4)
    assert not torch.equal(attended_rows(attended, "released"), attended_rows(attended, "intended"))
    assert not torch.equal(value_rows(attended, "released"), value_rows(attended, "intended"))


@pytest.mark.parametrize("grid", [(15, 15), (1, 1), (2, 3), (4, 7), (16, 12)])
def test_the_tokens_of_a_grid(grid):
    features = noise(1, 2, *grid, dtype=torch.float32)
    assert [tuple(shrinking(2, factor).eval()(features).shape[2:]) for factor in (2, 3)] == [
        tuple(math.ceil(side / factor) for side in grid) for factor in (2, 3)
    ]
    views = [features, *(shrinking(2, factor).eval()(features) for factor in (2, 3))]
    assert count_tokens(grid) == sum(view[0, 0].numel() for view in views)


def test_the_tokens_of_the_released_grid():
    attention = CrossScaleInteraction(channels=CHANNELS, width=WIDTH).first_attention
    assert tuple(attention.position_mix.weight.shape) == (225, 314)
    assert tuple(attention.qkv.weight.shape) == (1024, 30)
    assert tuple(attention.output.weight.shape) == (30, 512)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("grid", "layout"), GRIDS)
@torch.no_grad()
def test_the_attention_against_the_formulas(grid, layout, training):
    module = stir(CrossScaleAttention(6, grid, layout=layout, **HEADS)).double().train(training)
    features = noise(3, 6, *grid)
    torch.testing.assert_close(module(features), cross_scale_attention(module, features), rtol=0, atol=1e-10)


@pytest.mark.parametrize("training", [False, True])
@torch.no_grad()
def test_feed_forward_and_gate_against_the_formulas(training):
    features = 3 * noise(2, 6, 3, 5)
    module = stir(ConvolutionalFeedForward(6), 1.0).double().train(training)
    torch.testing.assert_close(module(features), feed_forward(module, features), rtol=0, atol=1e-10)
    module, scale = stir(ScaleAwareGate(6), 1.0).double().train(training), noise(2, 6, 11, 17)
    torch.testing.assert_close(module(scale, features), gate(module, scale, features), rtol=0, atol=1e-10)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("odd", [0, 1])
@pytest.mark.parametrize(("grid", "layout"), GRIDS)
@torch.no_grad()
def test_against_the_formulas(grid, layout, odd, training):
    module = stir(aggregator(grid, layout), 0.1).double().train(training)
    fused = fused_maps(grid, odd)
    expected = cross_scale_interaction(module, fused, grid)
    for output, by_formula in zip(module(fused, padded_words(3, 5)), expected, strict=True):
        torch.testing.assert_close(output, by_formula, rtol=0, atol=1e-10)


@pytest.mark.parametrize("source", range(4))
@torch.no_grad()
def test_every_scale_reaches_every_scale(source):
    module, words = stir(aggregator((2, 3), "intended")).double().eval(), padded_words(3, 5)
    changed = fused_maps((2, 3))
    changed[source] = changed[source] + noise(*changed[source].shape, seed=9)
    for before, after in zip(module(fused_maps((2, 3)), words), module(changed, words), strict=True):
        assert (before - after).abs().amax() > 1e-6


@torch.no_grad()
def test_the_words_are_not_read():
    module, fused = stir(aggregator((2, 3), "intended")).double().eval(), fused_maps((2, 3))
    assert not module.reads_words
    one, two = module(fused, padded_words(3, 5)), module(fused, padded_words(1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize(("grid", "layout"), [((3, 4), "intended"), ((15, 15), "released")])
def test_every_parameter_learns(grid, layout):
    module = stir(aggregator(grid, layout)).double()
    outputs = module(fused_maps(grid), padded_words(3, 5))
    sum((output * noise(*output.shape, seed=8)).sum() for output in outputs).backward()
    assert all(parameter.grad is not None for parameter in module.parameters())
    silent = {name for name, parameter in module.named_parameters() if parameter.grad.abs().amax() < 1e-9}
    assert silent == {name for name, _ in module.named_parameters() if TAKEN_AWAY.search(name)}


@pytest.mark.parametrize("training", [False, True])
@torch.no_grad()
def test_bfloat16_and_channels_last(training):
    module = stir(aggregator((5, 4), "intended"), 0.05).train(training)
    fused, words = [scale.float() for scale in fused_maps((5, 4), odd=1)], padded_words(3, 5)
    exact = module(fused, words)
    module.to(memory_format=torch.channels_last)
    last = [scale.contiguous(memory_format=torch.channels_last) for scale in fused]
    for before, after in zip(exact, module(last, words), strict=True):
        torch.testing.assert_close(after, before, rtol=0, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        rough = module([scale.bfloat16() for scale in last], words)
    for before, after in zip(exact, rough, strict=True):
        assert after.isfinite().all()
        assert (after.float() - before).abs().mean() < 0.05 * before.std()


def test_the_initial_weights():
    torch.manual_seed(0)
    module = CrossScaleInteraction(channels=CHANNELS, width=WIDTH)
    for attention in (module.first_attention, module.second_attention):
        for layer in (attention.qkv, attention.position_mix, attention.output):
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
        assert not attention.position_mix.bias.any()
        assert not attention.output.bias.any()
        assert attention.qkv.bias is None


def test_another_size_of_image_is_refused():
    module = aggregator((3, 4), "intended")
    message = r"aggregator.grid is \[3, 4\] .*coarsest map is \[4, 3\].* set model.aggregator.grid=\[4,3\] or"
    with pytest.raises(ValueError, match=message):
        module([scale.float() for scale in fused_maps((4, 3))], padded_words(3, 5))
    message = r"\[15, 15\] .*\[4, 3\].* set model.aggregator.grid=\[4,3\] model.aggregator.layout=intended or"
    with pytest.raises(ValueError, match=message):
        aggregator((15, 15), "released")([scale.float() for scale in fused_maps((4, 3))], padded_words(3, 5))


def test_arguments_that_do_not_fit():
    message = r"layout=released exists for model.aggregator.grid=\[15, 15\].*480 px.*got \[4, 4\]; .*layout=intended"
    with pytest.raises(ValueError, match=message):
        aggregator((4, 4), "released")
    with pytest.raises(ValueError, match=r"layout: unknown 'official'; known: released, intended"):
        aggregator((15, 15), "official")
    for grid in ((4,), (0, 4), (4, 4, 4)):
        with pytest.raises(ValueError, match=r"aggregator.grid: got .*, expected \[height, width\]"):
            aggregator(grid, "intended")
    with pytest.raises(ValueError, match=r"channels \[8, 18, 32, 64\] are not all multiples of 4"):
        CrossScaleInteraction(channels=[8, 18, 32, 64], width=WIDTH)


def test_the_size_of_the_original():
    """What RMSIN's weights with a Swin-B hold of this module."""
    module = CrossScaleInteraction(channels=[128, 256, 512, 1024], width=768)
    assert sum(parameter.numel() for parameter in module.parameters()) == 9_492_246
    assert len(module.state_dict()) == 249


def test_the_names_of_the_weights():
    """Weights of other implementations are brought to these names."""
    weights = {key.removesuffix(".weight") for key in aggregator((2, 2), "intended").state_dict() if "weight" in key}
    attention = ["norm", "at_half.0", "at_half.1", "at_third.0", "at_third.1", "qkv", "qkv_norm", "position_mix"]
    attention += ["local", "output", "output_norm", "output_projection"]
    feed_forwards = ["feed_forward", *(f"scale_feed_forwards.{stage}" for stage in range(4))]
    assert weights == {
        "reduce",
        "norm",
        "restore",
        *(f"{order}_attention.{layer}" for order in ("first", "second") for layer in attention),
        *(f"{part}.{layer}" for part in feed_forwards for layer in ("norm", "widen", "wide_norm", "filter", "narrow")),
        *(
            f"gates.{stage}.{branch}.{layer}"
            for stage in range(4)
            for branch in ("local", "context", "importance")
            for layer in range(2)
        ),
    }
