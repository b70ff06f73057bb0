"""Costs against counts by hand, and against what the paper's size may cost."""

from __future__ import annotations

import pytest
import torch
from hydra.utils import instantiate
from torch import Tensor, nn
from torch.nn import functional as F

from sbanet.config import compose
from sbanet.training.complexity import count_multiply_adds, count_parameters


class Tiny(nn.Module):
    """One layer of each kind that costs something; called as a segmenter is."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, kernel_size=3, stride=2, padding=1, bias=False)
        self.words = nn.Embedding(10, 6)
        self.linear = nn.Linear(6, 4)
        self.norm = nn.BatchNorm2d(4)
        self.frozen = nn.Parameter(torch.zeros(7), requires_grad=False)

    def forward(self, image_BCHW: Tensor, token_ids_BT: Tensor, token_mask_BT: Tensor) -> Tensor:
        pixels_BNC = self.norm(self.convolution(image_BCHW)).flatten(2).mT
        words_BTC = self.linear(self.words(token_ids_BT))
        mask_B1T = token_mask_BT[:, None]
        return F.scaled_dot_product_attention(pixels_BNC, words_BTC, words_BTC, attn_mask=mask_B1T)


def test_multiply_adds_by_hand() -> None:
    pixels, tokens = 4 * 4, 5
    convolution = pixels * 4 * (3 * 3 * 3)
    linear = tokens * 6 * 4
    attention = pixels * tokens * 4 + pixels * tokens * 4
    assert count_multiply_adds(Tiny(), image_size=8, num_tokens=5) == convolution + linear + attention


def test_parameters_by_hand_with_the_frozen_ones() -> None:
    assert count_parameters(Tiny()) == 4 * 3 * 9 + 10 * 6 + (6 * 4 + 4) + (4 + 4) + 7


def test_the_count_leaves_the_model_as_it_was() -> None:
    model = Tiny().train()
    model.linear.weight.grad = torch.ones_like(model.linear.weight)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    grads = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    random = torch.get_rng_state()
    count_multiply_adds(model, image_size=8)
    assert model.training
    assert model.norm.training
    assert {name: parameter.requires_grad for name, parameter in model.named_parameters()} == grads
    assert {tensor.device.type for tensor in model.state_dict().values()} == {"cpu"}
    for name, tensor in model.state_dict().items():  # BatchNorm's running means included
        assert torch.equal(tensor, before[name])
    assert torch.equal(model.linear.weight.grad, torch.ones_like(model.linear.weight))
    assert torch.equal(torch.get_rng_state(), random)


def test_twice_the_side_is_four_times_the_cost() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 2, 1))
    model.forward = lambda image, *_: model[1](model[0](image))  # type: ignore[method-assign]
    assert count_multiply_adds(model, image_size=32) == 4 * count_multiply_adds(model, image_size=16)


@pytest.mark.slow
def test_the_papers_size_keeps_within_its_costs() -> None:
    overrides = ["model/backbone=swin_base", "model/text_encoder=word_transformer_base", "model.decoder.hidden=512"]
    model = instantiate(compose("train", overrides).model)
    parameters = count_parameters(model)
    multiply_adds = count_multiply_adds(model, image_size=480, num_tokens=20)
    assert 200e6 < parameters <= 260e6
    assert 180e9 < multiply_adds <= 215e9
