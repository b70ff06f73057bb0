"""RMSIN's intra-scale interaction."""

import copy

import pytest
import torch

from sbanet.models.alignment.iim import IntraScaleInteraction, ReceptiveFields, SpatialWeighing
from sbanet.models.alignment.pwam import PixelWordAttention
from tests.models import by_hand
from tests.models.tiny import WIDTH, noise, one_sentence, padded_words, stir


def receptive_fields(module, map_B1HW):
    """`BN(c1 s) + BN(conv3x3(BN(c3 s))) + BN(s)`, the window tap by tap."""
    height, width = map_B1HW.shape[2:]
    scaled = by_hand.batch_norm(module.window[1], module.window[0].weight.item() * map_B1HW)
    window = torch.zeros_like(scaled)
    for row in range(height):
        for column in range(width):
            for down in (-1, 0, 1):
                for right in (-1, 0, 1):
                    if 0 <= row + down < height and 0 <= column + right < width:
                        tap = module.window[2].weight[0, 0, 1 + down, 1 + right]
                        window[..., row, column] += tap * scaled[..., row + down, column + right]
    return (
        by_hand.batch_norm(module.point[1], module.point[0].weight.item() * map_B1HW)
        + by_hand.batch_norm(module.window[3], window)
        + by_hand.batch_norm(module.identity, map_B1HW)
    )


def spatial_weighing(module, visual):
    scores = receptive_fields(module.second, receptive_fields(module.first, visual.mean(1)[:, None]).clamp(min=0))
    return visual / (1 + (-scores).exp())


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("size", [(5, 7), (1, 2), (1, 1), (4, 4)])
@torch.no_grad()
def test_the_branch_against_the_formulas(size, training):
    for kind, formula, channels in ((ReceptiveFields, receptive_fields, 1), (SpatialWeighing, spatial_weighing, 6)):
        module = stir(kind()).double().train(training)
        visual = 3 * noise(3, channels, *size)
        torch.testing.assert_close(module(visual), formula(module, visual), rtol=0, atol=1e-10)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("size", [(5, 7), (1, 2)])
@torch.no_grad()
def test_against_the_formulas(heads, size, training):
    module = stir(IntraScaleInteraction(channels=16, width=WIDTH, stage=1, heads=heads)).double().train(training)
    visual, words = noise(3, 16, *size), padded_words(4, 1, 6, padding=5.0)
    aligned = module(visual, words)
    assert aligned.words is words
    weighed = spatial_weighing(module.visual_branch, visual)
    for row in range(3):
        alone = one_sentence(words, row).features_BTD[0]
        onwards, fused = by_hand.pixel_word_attention(module, visual[row], alone)
        onwards += by_hand.as_map(by_hand.gated(module.visual_gate, by_hand.as_pixels(weighed[row])), *size)
        torch.testing.assert_close(aligned.visual[row], onwards, rtol=0, atol=1e-10)
        torch.testing.assert_close(aligned.fused[row], fused, rtol=0, atol=1e-10)


def test_it_is_pixel_word_attention_where_the_branch_is_closed():
    module = stir(IntraScaleInteraction(channels=16, width=WIDTH, stage=0)).double()
    plain = PixelWordAttention(channels=16, width=WIDTH, stage=0).double()
    assert plain.load_state_dict(module.state_dict(), strict=False).missing_keys == []
    torch.nn.init.zeros_(module.visual_gate[2].weight)
    visual, words = noise(2, 16, 5, 7), padded_words(3, 6)
    assert torch.equal(module(visual, words).visual, plain(visual, words).visual)


def test_what_the_last_stage_does_not_use_is_kept_but_frozen_and_still():
    module = IntraScaleInteraction(channels=8, width=WIDTH, stage=3).double()
    visual, before = noise(2, 8, 4, 4), copy.deepcopy(module.state_dict())
    aligned = module(visual, padded_words(3, 2))
    assert aligned.visual is visual
    assert all(torch.equal(tensor, before[key]) for key, tensor in module.state_dict().items())
    frozen = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
    dead = ("gate.", "visual_gate.", "visual_branch.")
    assert frozen == {name for name, _ in module.named_parameters() if name.startswith(dead)}
    assert len(frozen) == 26
    stir(module.visual_branch)
    stir(module.gate)
    assert torch.equal(module(visual, padded_words(3, 2)).fused, aligned.fused)

    earlier = IntraScaleInteraction(channels=8, width=WIDTH, stage=2)
    assert earlier.state_dict().keys() == module.state_dict().keys()
    assert all(parameter.requires_grad for parameter in earlier.parameters())


def test_every_trainable_parameter_learns():
    for stage in (0, 3):
        module = stir(IntraScaleInteraction(channels=8, width=WIDTH, stage=stage)).double()
        aligned = module(noise(2, 8, 5, 7), padded_words(3, 6))
        (aligned.visual * noise(2, 8, 5, 7, seed=4) + aligned.fused * noise(2, 8, 5, 7, seed=5)).sum().backward()
        learning = {name for name, parameter in module.named_parameters() if parameter.grad is not None}
        assert learning == {name for name, parameter in module.named_parameters() if parameter.requires_grad}
        assert ("visual_branch.first.window.0.weight" in learning) == (stage == 0)


def test_the_gates_start_small():
    torch.manual_seed(0)
    module = IntraScaleInteraction(channels=128, width=WIDTH, stage=0)
    for gate in (module.gate, module.visual_gate):
        assert all(weight.std().item() == pytest.approx(0.02, rel=0.05) for weight in gate.parameters())


def test_heads_that_do_not_divide_the_channels():
    with pytest.raises(ValueError, match=r"alignment.heads: 3 heads do not divide 8 channels"):
        IntraScaleInteraction(channels=8, width=WIDTH, stage=0, heads=3)


def test_the_names_of_the_weights():
    """Weights of other implementations are brought to these names."""
    state = IntraScaleInteraction(channels=8, width=WIDTH, stage=0).state_dict()
    own = state.keys() - PixelWordAttention(channels=8, width=WIDTH, stage=0).state_dict().keys()
    norms = [
        f"{half}.{norm}" for half in ("first", "second") for norm in ("point.1", "window.1", "window.3", "identity")
    ]
    entries = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    convolutions = [f"{half}.{layer}" for half in ("first", "second") for layer in ("point.0", "window.0", "window.2")]
    assert own == {
        "visual_gate.0.weight",
        "visual_gate.2.weight",
        *(f"visual_branch.{convolution}.weight" for convolution in convolutions),
        *(f"visual_branch.{norm}.{entry}" for norm in norms for entry in entries),
    }
