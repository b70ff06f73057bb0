"""Coordinates for the pixels."""

import pytest
import torch

from sbanet.models.positions import CoordinateEncoding

from .tiny import CHANNELS, noise, stir


@pytest.mark.parametrize("stage", range(4))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_shape_and_dtype(stage, dtype):
    positions = CoordinateEncoding(channels=CHANNELS).to(dtype)
    visual = noise(2, CHANNELS[stage], 3, 5, dtype=dtype)
    encoded = positions(visual, stage)
    assert encoded.shape == visual.shape
    assert encoded.dtype == dtype
    torch.testing.assert_close(encoded[0] - visual[0], encoded[1] - visual[1], rtol=0, atol=0.1)


def test_coordinates_are_those_of_the_cells_centres():
    """The middle cell of every three has the centre of the one cell that the three were cut from."""
    positions = CoordinateEncoding(channels=CHANNELS).double()
    coarse = positions(torch.zeros(1, 8, 4, 6, dtype=torch.float64), 0)
    fine = positions(torch.zeros(1, 8, 12, 18, dtype=torch.float64), 0)
    torch.testing.assert_close(fine[..., 1::3, 1::3], coarse, rtol=0, atol=1e-6)


@pytest.mark.parametrize("frequencies", [0, 3])
def test_every_cell_is_told_from_every_other(frequencies):
    positions = stir(CoordinateEncoding(channels=CHANNELS, frequencies=frequencies))
    cells = positions(torch.zeros(1, 64, 9, 11), 3)[0].flatten(1).T
    distances = torch.cdist(cells, cells) + torch.eye(99)
    assert distances.min() > 1e-3


def test_rows_and_columns_are_not_confused():
    positions = CoordinateEncoding(channels=CHANNELS, frequencies=0)
    with torch.no_grad():
        positions.projections[0].weight.zero_()
        positions.projections[0].bias.zero_()
        positions.projections[0].weight[0, 0] = positions.projections[0].weight[1, 1] = 1  # x, y
        x, y = positions(torch.zeros(1, 8, 2, 4), 0)[0, :2]
    assert x.tolist() == [[-0.75, -0.25, 0.25, 0.75]] * 2
    assert y.tolist() == [[-0.5] * 4, [0.5] * 4]
