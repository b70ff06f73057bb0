"""Linear layers that are computed as convolutions: the numbers of torch's own."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sbanet.models import linear as module
from sbanet.models.linear import FastLinear, linear, use_fast_linear
from tests.models.tiny import noise


@pytest.fixture(autouse=True)
def slow_products(monkeypatch):
    monkeypatch.setattr(module, "PRODUCTS_ARE_SLOW", True)
    monkeypatch.setattr(module, "MANY_NUMBERS", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)


def is_convolved(output):
    kinds, nodes = set(), [output.grad_fn]
    while nodes:
        node = nodes.pop()
        kinds.add(type(node).__name__)
        nodes += [following for following, _ in node.next_functions if following is not None]
    return "ConvolutionBackward0" in kinds


@pytest.mark.parametrize("shape", [(7, 5), (2, 3, 5), (1, 5), (5,), (2, 3, 4, 5), (32, 5), (2, 3, 8, 5)])
@pytest.mark.parametrize("biased", [True, False])
def test_values_and_gradients_are_torchs_own(shape, biased):
    features = noise(*shape, dtype=torch.float32).requires_grad_()
    weight = noise(4, 5, seed=5, dtype=torch.float32).requires_grad_()
    bias = noise(4, seed=6, dtype=torch.float32).requires_grad_() if biased else None
    operands = [operand for operand in (features, weight, bias) if operand is not None]
    ours, theirs = linear(features, weight, bias), F.linear(features, weight, bias)
    assert is_convolved(ours)
    gradient = noise(*theirs.shape, seed=7, dtype=torch.float32)
    pairs = zip(
        (ours, *torch.autograd.grad(ours, operands, gradient)),
        (theirs, *torch.autograd.grad(theirs, operands, gradient)),
        strict=True,
    )
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_nothing_comes_of_nothing():
    assert linear(torch.empty(2, 0, 5), torch.ones(4, 5)).shape == (2, 0, 4)


def test_features_may_lie_anyhow_in_memory():
    features, weight = noise(2, 5, 6, dtype=torch.float32).mT, noise(4, 5, seed=5, dtype=torch.float32)
    torch.testing.assert_close(linear(features, weight), F.linear(features, weight))


def test_where_products_are_fast_they_are_used(monkeypatch):
    features, weight = noise(2, 5, dtype=torch.float32), noise(4, 5, seed=5, dtype=torch.float32).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not is_convolved(linear(features, weight))
    assert not is_convolved(linear(features.double(), weight.double()))
    monkeypatch.setattr(module, "PRODUCTS_ARE_SLOW", False)
    assert not is_convolved(linear(features, weight))


@pytest.mark.parametrize(("rows", "threads", "convolved"), [(32, 1, True), (33, 1, False), (33, 2, True)])
def test_one_thread_convolves_where_the_rows_can_be_dealt_out(monkeypatch, rows, threads, convolved):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    weight = noise(4, 5, seed=5, dtype=torch.float32).requires_grad_()
    assert is_convolved(linear(noise(rows, 5, dtype=torch.float32), weight)) == convolved


def test_what_is_small_is_a_product(monkeypatch):
    monkeypatch.setattr(module, "MANY_NUMBERS", 161)
    weight = noise(4, 5, seed=5, dtype=torch.float32).requires_grad_()
    assert not is_convolved(linear(noise(32, 5, dtype=torch.float32), weight))
    assert is_convolved(linear(noise(48, 5, dtype=torch.float32), weight))


@pytest.mark.parametrize(("rows", "without_gradients"), [(1024, True), (1023, True), (1024, False)])
def test_many_rows_in_bfloat16_are_convolved_where_no_gradient_follows(monkeypatch, rows, without_gradients):
    convolved = []

    def convolve(*arguments):
        convolved.append(arguments)
        return torch.conv2d(*arguments)

    monkeypatch.setattr(module.F, "conv2d", convolve)
    features, weight = noise(rows, 5, dtype=torch.float32), noise(4, 5, seed=5, dtype=torch.float32)
    with torch.set_grad_enabled(not without_gradients), torch.autocast("cpu", dtype=torch.bfloat16):
        ours, theirs = linear(features, weight), F.linear(features, weight)
    assert bool(convolved) == (rows == 1024 and without_gradients)
    assert ours.dtype == theirs.dtype == torch.bfloat16
    torch.testing.assert_close(ours, theirs, rtol=2**-7, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "instructions", "slow"),
    [("AMD EPYC", True, True), ("AMD EPYC", False, False), ("Intel(R) Xeon(R)", True, False), (None, True, False)],
)
def test_products_are_slow_on_amd_with_avx512(monkeypatch, name, instructions, slow):
    known = {"avx512_f": instructions} | ({} if name is None else {"cpu_name": name})
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    assert module.products_are_slow() == slow


def test_only_plain_linear_layers_are_replaced():
    attention = nn.MultiheadAttention(4, 2)
    model = nn.Sequential(nn.Linear(5, 4), nn.Conv2d(1, 1, 1), attention)
    names = list(model.state_dict())
    use_fast_linear(model)
    assert [type(part) for part in model] == [FastLinear, nn.Conv2d, nn.MultiheadAttention]
    assert type(attention.out_proj) is not FastLinear
    assert list(model.state_dict()) == names
