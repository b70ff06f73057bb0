"""Attention and feed-forward blocks."""

import pytest
import torch
from torch import nn

from sbanet.models.attention import Attention, FeedForward, attend

from . import by_hand
from .tiny import noise, stir


@pytest.mark.parametrize(
    ("query_width", "source_width", "width", "heads"),
    [
        (64, None, None, 2),
        (64, 24, None, 2),
        (24, 64, 96, 3),
        (24, None, None, 1),
        (40, 8, 32, 1),
        (7, 5, 1, 1),
    ],
)
def test_attention_against_the_formula(query_width, source_width, width, heads):
    module = stir(Attention(query_width, source_width, width=width)).double()
    assert module.heads == heads
    query, source = noise(2, 5, query_width), noise(2, 6, source_width or query_width, seed=4)
    mask = torch.tensor([[True, False, True, True, False, False], [False] * 5 + [True]])
    attended = module(query, source, mask)
    for row in range(2):
        expected = by_hand.attention(module, query[row], source[row, mask[row]])
        torch.testing.assert_close(attended[row], expected, rtol=0, atol=1e-12)
    everything = by_hand.attention(module, query[0], source[0])
    torch.testing.assert_close(module(query, source)[0], everything, rtol=0, atol=1e-12)


def test_attention_is_that_of_torch():
    module = Attention(64).double()
    reference = nn.MultiheadAttention(64, 2, batch_first=True).double()
    with torch.no_grad():
        reference.in_proj_weight.copy_(torch.cat([module.query.weight, module.key_value.weight]))
        reference.in_proj_bias.copy_(torch.cat([module.query.bias, module.key_value.bias]))
    reference.out_proj = module.output
    query, source = noise(2, 5, 64), noise(2, 6, 64, seed=4)
    expected, _ = reference(query, source, source, need_weights=False)
    torch.testing.assert_close(module(query, source), expected, rtol=0, atol=1e-12)


def test_masked_sources_get_no_gradient():
    source = noise(1, 4, 32).requires_grad_()
    mask = torch.tensor([[True, True, False, False]])
    Attention(32).double()(noise(1, 3, 32), source, mask).square().sum().backward()
    assert torch.equal(source.grad.abs().sum(-1) > 0, mask)


@pytest.mark.parametrize(
    ("width", "head_width", "heads"),
    [(48, 24, 2), (48, 32, 1), (16, 32, 1), (40, 32, 1), (112, 32, 2), (320, 32, 10), (768, 32, 24), (65, 32, 1)],
)
def test_any_width_is_shared_out_among_heads_at_least_as_wide(width, head_width, heads):
    attention = Attention(width, head_width=head_width)
    assert attention.heads == heads
    assert attention(noise(1, 3, width, dtype=torch.float32), noise(1, 2, width, dtype=torch.float32)).shape == (
        1, 3, width,
    )  # fmt: skip


@pytest.mark.parametrize("scale", [None, 0.3])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_on_a_cpu(dtype, scale):
    tensors = [noise(2, 2, 7, 16, seed=seed) for seed in range(3)]
    mask = torch.arange(7) < torch.tensor([7, 3])[:, None, None, None]
    exact = attend(*tensors, mask, scale=scale)
    halves = [tensor.to(dtype).requires_grad_() for tensor in tensors]
    with torch.autocast("cpu", torch.bfloat16):
        half = attend(*halves, mask, scale=scale)
    assert half.dtype == dtype
    torch.testing.assert_close(half.double(), exact, rtol=0, atol=0.02)
    half.sum().backward()
    assert all(tensor.grad.dtype == dtype and tensor.grad.isfinite().all() for tensor in halves)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_full_precision_keeps_its_dtype(dtype):
    assert attend(*(noise(1, 1, 3, 8, dtype=dtype) for _ in range(3))).dtype == dtype


def test_the_feed_forward_block():
    block = stir(FeedForward(8, expansion=2)).double()
    norm, widen, _, _, narrow = block
    assert widen.weight.shape == (16, 8)
    x = noise(3, 8)
    torch.testing.assert_close(block(x), narrow(by_hand.gelu(widen(norm(x)))), rtol=0, atol=1e-12)
