"""Swin's windows in the official order, against a block written out by hand."""

import copy

import pytest
import timm
import torch
import torch.nn.functional as F
from timm.models.swin_transformer import SwinTransformerBlock

from sbanet.models.backbones.swin_block import SwinBlock
from sbanet.models.backbones.timm_backbone import TimmBackbone
from tests.models.tiny import images, noise, stir

SMALL = {"embed_dim": 16, "depths": (2, 2, 2, 2), "num_heads": (1, 2, 2, 4), "window_size": 4}
NAME = "swin_tiny_patch4_window7_224"


def swin(**options):
    torch.manual_seed(0)
    return stir(TimmBackbone(name=NAME, architecture=SMALL, **options).double().eval())


def by_hand(block, x):
    """Window attention with a mask over pairs of pixels, on the padded map, without timm's partition."""
    (height, width), window = x.shape[1:3], block.window_size[0]
    shift = block.shift_size[0]
    padded = F.pad(block.norm1(x), (0, 0, 0, -width % window, 0, -height % window))
    rows, columns = padded.shape[1:3]

    def regions(length):  # after the roll: what was not adjacent may not attend
        place = torch.arange(length)
        return place // window, (place >= length - window).long() + (place >= length - shift).long() * (shift > 0)

    window_of_row, region_of_row = regions(rows)
    window_of_column, region_of_column = regions(columns)
    rolled = padded.roll((-shift, -shift), (1, 2))
    tokens = rolled.flatten(1, 2)
    window_id = (window_of_row[:, None] * columns + window_of_column).flatten()
    region_id = (region_of_row[:, None] * 9 + region_of_column).flatten()
    if not shift:
        region_id = torch.zeros_like(region_id)
    y, x_ = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    y, x_ = y.flatten() % window, x_.flatten() % window
    index = (y[:, None] - y + window - 1) * (2 * window - 1) + (x_[:, None] - x_ + window - 1)
    heads = block.attn.num_heads
    query, key, value = block.attn.qkv(tokens).unflatten(-1, (3, heads, -1)).unbind(2)
    scores = torch.einsum("bqhc,bkhc->bhqk", query, key) * query.shape[-1] ** -0.5
    scores = scores + block.attn.relative_position_bias_table[index].permute(2, 0, 1)
    scores = scores - 100.0 * (region_id[:, None] != region_id)
    scores = scores.masked_fill(window_id[:, None] != window_id, -torch.inf)
    attended = torch.einsum("bhqk,bkhc->bqhc", scores.softmax(-1), value).flatten(2)
    attended = block.attn.proj(attended).view(-1, rows, columns, x.shape[-1]).roll((shift, shift), (1, 2))
    x = x + attended[:, :height, :width]
    return x + block.mlp(block.norm2(x))


@pytest.mark.parametrize("size", [(8, 8), (7, 10), (5, 4), (3, 3), (1, 9)])
@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("fused", [False, True])
def test_a_block_pads_and_then_shifts(size, shifted, fused):
    block = swin(pad_before_shift=True, fused_attention=fused).stages[0].layers_0.blocks[int(shifted)]
    assert (block.shift_size[0] > 0) == shifted
    x = noise(2, *size, 16)
    torch.testing.assert_close(block(x), by_hand(block, x), rtol=0, atol=1e-12)


def test_timm_s_order_is_another_one_where_a_shifted_map_is_padded():
    official, own = swin(pad_before_shift=True), swin()
    block = own.stages[0].layers_0.blocks[1]
    x = noise(2, 7, 10, 16)
    assert (block(x) - by_hand(block, x)).abs().max() > 1e-3
    assert torch.equal(official.stages[0].layers_0.blocks[1](noise(2, 8, 8, 16)), block(noise(2, 8, 8, 16)))


def test_every_block_and_every_copy_of_it():
    backbone = swin(pad_before_shift=True)
    for model in (backbone, copy.deepcopy(backbone)):
        blocks = [module for module in model.modules() if isinstance(module, SwinTransformerBlock)]
        assert len(blocks) == 8
        assert all(type(block) is SwinBlock and block.pads_first for block in blocks)
    assert backbone.state_dict().keys() == swin().state_dict().keys()


@pytest.mark.parametrize("size", [(33, 61), (1, 1), (64, 96)])
def test_images_of_any_size(size):
    backbone = swin(pad_before_shift=True)
    visual = backbone.stem(images(1, *size, dtype=torch.float64))
    for stage, stride in zip(backbone.stages, backbone.strides, strict=True):
        visual = stage(visual)
        assert visual.shape[-2:] == (-(-size[0] // stride), -(-size[1] // stride))


def test_what_has_no_windows_cannot_pad_before_it_shifts():
    with pytest.raises(ValueError, match=r"pad_before_shift=true: timm's test_convnext has no Swin blocks"):
        TimmBackbone(name="test_convnext", pad_before_shift=True)


def test_the_architecture_of_a_name_can_be_changed():
    assert swin().channels == [16, 32, 64, 128]
    assert timm.is_model(NAME)
    with pytest.raises(ValueError, match=r"model.backbone.architecture: timm's \w+ takes no stripes; remove it"):
        TimmBackbone(name=NAME, architecture={"stripes": 3})
