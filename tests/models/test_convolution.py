"""3x3 convolutions whose weights learn by matrix products: the numbers of torch's own."""

import pytest
import torch
import torch.nn.functional as F

from sbanet.models import convolution
from sbanet.models.convolution import convolve_3x3, convolve_resized
from sbanet.models.resize import resize_bilinear
from tests.models.tiny import noise

SHAPES = [(3, 5, 7, 4, 9), (1, 4, 6, 1, 5), (2, 3, 1, 30, 2)]
"""B, I, O, H, W."""


@pytest.fixture(autouse=True)
def slow_kernel(monkeypatch):
    monkeypatch.setattr(convolution, "KERNEL_IS_SLOW", True)


def operands(batch, inputs, outputs, height, width, *, channels_last=True):
    features = noise(batch, inputs, height, width, dtype=torch.float32)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    features = features.contiguous(memory_format=layout).requires_grad_()
    return features, noise(outputs, inputs, 3, 3, seed=5, dtype=torch.float32).requires_grad_()


def learns_by_products(convolved):
    return "_Convolution" in type(convolved.grad_fn).__name__


@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients_are_torchs_own(shape):
    features, weight = operands(*shape)
    ours, theirs = convolve_3x3(features, weight), F.conv2d(features, weight, padding=1)
    assert learns_by_products(ours)
    gradient = noise(*theirs.shape, seed=6, dtype=torch.float32)
    pairs = zip(
        (ours, *torch.autograd.grad(ours, (features, weight), gradient)),
        (theirs, *torch.autograd.grad(theirs, (features, weight), gradient)),
        strict=True,
    )
    for one, other in pairs:
        assert one.shape == other.shape
        assert (one - other).abs().max() < 1e-5 * other.abs().max()


def test_only_what_is_asked_for_is_computed():
    features, weight = operands(*SHAPES[0])
    convolve_3x3(features.detach(), weight).sum().backward()
    assert features.grad is None
    assert weight.grad is not None


def test_where_torchs_own_is_fast_it_is_used(monkeypatch):
    features, weight = operands(*SHAPES[0], channels_last=False)
    assert not learns_by_products(convolve_3x3(features, weight))
    features, weight = operands(*SHAPES[0])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not learns_by_products(convolve_3x3(features, weight))
    monkeypatch.setattr(convolution, "KERNEL_IS_SLOW", False)
    assert not learns_by_products(convolve_3x3(features, weight))


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", [(8, 18), (7, 13), (5, 11)])
def test_channels_may_be_mixed_before_resizing(size, align_corners):
    features, weight = operands(3, 5, 7, 4, 9)
    ours = convolve_resized(features, weight, size, align_corners=align_corners)
    theirs = F.conv2d(resize_bilinear(features, size, align_corners=align_corners), weight, padding=1)
    assert ours.is_contiguous(memory_format=torch.channels_last)
    gradient = noise(*theirs.shape, seed=6, dtype=torch.float32)
    pairs = zip(
        (ours, *torch.autograd.grad(ours, (features, weight), gradient)),
        (theirs, *torch.autograd.grad(theirs, (features, weight), gradient)),
        strict=True,
    )
    for one, other in pairs:
        assert (one - other).abs().max() < 1e-5 * other.abs().max()
