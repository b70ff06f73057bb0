"""Macro and micro features, and their selection."""

import pytest
import torch
import torch.nn.functional as F

from sbanet.models.alignment.feature_selection import DilatedDepthwise, DynamicFeatureSelection
from tests.models import by_hand
from tests.models.tiny import noise, stir


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (8, 8), (9, 9), (10, 17), (15, 31), (24, 12)])
@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), (3, 2), (3, 3), (5, 3), (7, 1), (1, 4)])
def test_the_phases_are_a_dilated_convolution(kernel, dilation, size):
    module = stir(DilatedDepthwise(4, kernel, dilation)).double()
    ours, theirs = (noise(2, 4, *size).requires_grad_() for _ in range(2))
    expected = F.conv2d(
        theirs,
        module.weight,
        module.bias,
        padding=dilation * (kernel // 2),
        dilation=dilation,
        groups=4,
    )
    convolved = module(ours)
    torch.testing.assert_close(convolved, expected, rtol=0, atol=1e-12)
    weights = noise(*expected.shape, seed=5)
    [weight] = torch.autograd.grad((convolved * weights).sum(), module.weight, retain_graph=True)
    [expected_weight] = torch.autograd.grad((expected * weights).sum(), module.weight, retain_graph=True)
    torch.testing.assert_close(weight, expected_weight, rtol=0, atol=1e-11)
    (convolved * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=1e-12)


def test_an_even_kernel_has_no_middle():
    with pytest.raises(ValueError, match=r"macro_kernel: got 4.*odd"):
        DilatedDepthwise(4, 4, 2)


@pytest.mark.parametrize("sentence_width", [None, 6])
def test_the_selection_against_the_formula(sentence_width):
    module = stir(DynamicFeatureSelection(8, sentence_width=sentence_width, macro_kernel=5)).double()
    visual, sentence = noise(2, 8, 13, 16), noise(2, 6, seed=4)
    selected = module(visual, sentence)
    for row in range(2):
        expected = by_hand.feature_selection(module, visual[row], sentence[row])
        torch.testing.assert_close(selected[row], expected, rtol=0, atol=1e-12)
    depends = not torch.equal(selected, module(visual, -sentence))
    assert depends == (sentence_width is not None)


def test_one_branch_is_added_whole():
    visual, sentence = noise(2, 8, 5, 6), noise(2, 6)
    micro = stir(DynamicFeatureSelection(8, sentence_width=6, branches="micro")).double()
    torch.testing.assert_close(micro(visual, sentence), visual + micro.micro(visual), rtol=0, atol=1e-12)
    macro = stir(DynamicFeatureSelection(8, sentence_width=6, branches="macro")).double()
    expected = visual + macro.macro(visual) + visual.mean((2, 3), keepdim=True)
    torch.testing.assert_close(macro(visual, sentence), expected, rtol=0, atol=1e-12)


def test_plain_features_are_left_alone():
    plain = DynamicFeatureSelection(8, sentence_width=6, branches="plain")
    visual = noise(2, 8, 5, 6)
    assert plain(visual, noise(2, 6)) is visual
    assert not list(plain.parameters())


def test_unknown_features():
    with pytest.raises(ValueError, match=r"features: unknown 'mega'; known: both, macro, micro, plain"):
        DynamicFeatureSelection(8, sentence_width=6, branches="mega")
