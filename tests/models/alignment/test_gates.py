"""The language gate."""

import torch

from sbanet.models.alignment.gates import LanguageGate
from tests.models import by_hand
from tests.models.tiny import noise


def test_the_gate_against_the_formula():
    gate = LanguageGate(8).double()
    fused = noise(5, 8)
    torch.testing.assert_close(gate(fused), by_hand.gated(gate, fused), rtol=0, atol=1e-12)
    assert torch.equal(gate(fused[None])[0], gate(fused))
    assert [name for name, _ in gate.named_parameters()] == ["0.weight", "2.weight"]
