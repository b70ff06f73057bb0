"""Numbers that must keep their precision whatever the autocast."""

import pytest
import torch

from sbanet.models.precision import at_least_float32, without_autocast


def test_nothing_is_cast_within():
    one = torch.ones(2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert (one @ one).dtype == torch.bfloat16
        with without_autocast(one):
            assert (one @ one).dtype == torch.float32
        assert (one @ one).dtype == torch.bfloat16


def test_devices_without_an_autocast():
    with without_autocast(torch.ones(2, device="meta")):
        pass


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_half_precision_is_widened(dtype):
    wide = at_least_float32(torch.ones(2, dtype=dtype))
    assert wide.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
