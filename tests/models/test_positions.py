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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_relative_ones_are_as_large_as_the_map(dtype):
    positions = CoordinateEncoding(channels=CHANNELS, relative=True).to(dtype)
    visual = noise(2, 16, 6, 5, dtype=dtype)
    visual[1] *= 7
    added = positions(visual, 1) - visual
    assert added.dtype == dtype
    size = visual.double().square().mean((1, 2, 3)).sqrt()
    torch.testing.assert_close(
        added[1] / size[1], added[0] / size[0], rtol=0, atol=0.1 if dtype.itemsize == 2 else 1e-5
    )
    plain = CoordinateEncoding(channels=CHANNELS)
    plain.load_state_dict(positions.float().state_dict())
    expected = plain(torch.zeros(1, 16, 6, 5), 1)[0]
    torch.testing.assert_close(
        (added[0] / size[0]).float(), expected, rtol=0, atol=0.1 if dtype.itemsize == 2 else 1e-5
    )


def test_stages_without_an_alignment_have_none():
    positions = CoordinateEncoding(channels=CHANNELS, stages=(2, 3))
    assert {name.split(".")[1] for name, _ in positions.named_parameters()} == {"2", "3"}
