"""The language gate."""

import pytest
import torch

from sbanet.models.alignment.gates import LanguageGate
from sbanet.models.alignment.iim import IntraScaleInteraction
from sbanet.models.alignment.pwam import PixelWordAttention
from tests.models import by_hand
from tests.models.tiny import noise


def test_the_gate_against_the_formula():
    gate = LanguageGate(8).double()
    fused = noise(5, 8)
    torch.testing.assert_close(gate(fused), by_hand.gated(gate, fused), rtol=0, atol=1e-12)
    assert torch.equal(gate(fused[None])[0], gate(fused))
    assert [name for name, _ in gate.named_parameters()] == ["0.weight", "2.weight"]


def test_the_start_is_torchs_own_unless_a_deviation_is_asked_for():
    assert all(
        weight.std().item() == pytest.approx(0.02, rel=0.05) for weight in LanguageGate(96, std=0.02).parameters()
    )
    bound = 96**-0.5  # of torch's uniform start
    assert all(
        weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.05) for weight in LanguageGate(96).parameters()
    )


def test_lavt_and_rmsin_start_theirs_as_officially():
    for alignment in (PixelWordAttention, IntraScaleInteraction):
        gate = alignment(channels=96, width=8, stage=0).gate
        assert all(weight.std().item() == pytest.approx(0.02, rel=0.05) for weight in gate.parameters())
