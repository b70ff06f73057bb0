"""Official weights are recognised, measured and loaded strictly; every misfit is named."""

from __future__ import annotations

import re

import pytest
import torch

from sbanet.errors import CheckpointError
from sbanet.interop import load_official
from sbanet.interop.official import assign
from sbanet.models.alignment.pwam import PixelWordAttention
from sbanet.models.backbones.swin_block import SwinBlock

from .tiny_official import EMBED, HEADS, HIDDEN, WIDTH, WINDOW, lavt


def loaded(weights, vocabulary, **options):
    return load_official(weights, vocabulary=vocabulary, **options)


def inputs(dtype=torch.float32):
    generator = torch.Generator().manual_seed(5)
    image = torch.randn(2, 3, 70, 45, generator=generator, dtype=torch.float64).to(dtype)
    ids = torch.tensor([[101, 1996, 2417, 2911, 102], [101, 2911, 102, 0, 0]])
    return image, ids, ids > 0


@pytest.fixture(scope="module")
def model(vocabulary):
    return loaded(lavt(), vocabulary)


def test_the_sizes_are_read_off_the_weights(model):
    assert model.backbone.channels == [EMBED, 2 * EMBED, 4 * EMBED, 8 * EMBED]
    blocks = [module for module in model.backbone.modules() if isinstance(module, SwinBlock)]
    assert [block.attn.num_heads for block in blocks] == list(HEADS)
    assert all(block.pads_first for block in blocks)
    assert {block.window_size for block in blocks} == {(WINDOW, WINDOW)}
    assert model.text_encoder.width == WIDTH
    assert model.decoder.classifier.weight.shape == (2, HIDDEN, 1, 1)
    assert all(type(alignment) is PixelWordAttention for alignment in model.alignments)
    assert not model.training
    assert model.align_corners


def test_every_weight_is_in_its_place(model):
    weights = lavt()
    layer = weights["backbone.layers.1.fusion.image_lang_att.f_key.0.weight"]
    assert torch.equal(model.alignments[1].key.weight, layer[..., 0])
    assert torch.equal(
        model.backbone.stages[2].layers_2.downsample.reduction.weight,
        weights["backbone.layers.1.downsample.reduction.weight"],
    )
    assert torch.equal(model.decoder.levels[0][0].weight, weights["classifier.conv1_4.weight"])
    assert torch.equal(model.alignments[3].norm.bias, weights["backbone.norm3.bias"])


def test_the_dtype_is_that_of_the_weights(model, vocabulary):
    double = loaded(lavt(torch.float64), vocabulary)
    assert {parameter.dtype for parameter in double.parameters()} == {torch.float64}
    with torch.no_grad():
        exact, rounded = double(*inputs(torch.float64)), model(*inputs())
    assert exact.dtype == torch.float64
    torch.testing.assert_close(rounded.double(), exact, rtol=0, atol=1e-5)


def test_what_other_versions_add_is_left_out(model, vocabulary):
    weights = {f"module.{name}": value for name, value in lavt().items()}
    weights["module.backbone.layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(16, 16, dtype=torch.int64)
    weights["module.text_encoder.pooler.dense.weight"] = torch.zeros(WIDTH, WIDTH)
    weights["module.text_encoder.embeddings.position_ids"] = torch.arange(32)[None]
    again = loaded(weights, vocabulary)
    with torch.no_grad():
        assert torch.equal(again(*inputs()), model(*inputs()))


def test_heads_are_what_weights_do_not_tell(model, vocabulary):
    several = loaded(lavt(), vocabulary, fusion_heads=(1, 2, 4, 8))
    assert [alignment.heads for alignment in several.alignments] == [1, 2, 4, 8]
    with torch.no_grad():
        assert not torch.equal(several(*inputs()), model(*inputs()))
    with pytest.raises(Exception, match=r"heads: got \[1, 2\], expected a number, or 4"):
        loaded(lavt(), vocabulary, fusion_heads=(1, 2))


def test_every_key_that_is_missing_is_named(model):
    weights = lavt()
    for name in weights:
        with pytest.raises(CheckpointError, match=rf"fit: {re.escape(name)} is missing$"):
            assign(model, {other: value for other, value in weights.items() if other != name})


SIZED_BY = [
    "backbone.patch_embed.proj.weight",
    "backbone.layers.3.blocks.0.attn.relative_position_bias_table",
    "classifier.conv1_1.weight",
    "text_encoder.embeddings.word_embeddings.weight",
]


@pytest.mark.parametrize("name", SIZED_BY)
def test_a_key_that_sizes_are_read_off_is_named_too(name, vocabulary):
    weights = lavt()
    del weights[name]
    with pytest.raises(CheckpointError, match=rf"{name} is missing"):
        loaded(weights, vocabulary)


RENAMED = [
    "backbone.layers.2.fusion.project_mm.0.bias",
    "classifier.bn1_3.running_var",
    "text_encoder.encoder.layer.0.output.LayerNorm.weight",
    "backbone.patch_embed.norm.bias",
]


@pytest.mark.parametrize("name", RENAMED)
def test_a_key_that_is_renamed_is_named_twice(name, vocabulary):
    weights = lavt()
    weights[f"{name}_old"] = weights.pop(name)
    with pytest.raises(CheckpointError, match=rf"{name} is missing.*{name}_old is unexpected"):
        loaded(weights, vocabulary)


@pytest.mark.parametrize("name", [*RENAMED, "classifier.conv2_2.weight", "backbone.layers.0.res_gate.0.weight"])
def test_a_key_of_another_shape_is_named(name, vocabulary):
    weights = lavt()
    weights[name] = torch.zeros(3, *weights[name].shape[1:])
    with pytest.raises(CheckpointError, match=rf"{name} has shape \(3.*, expected \("):
        loaded(weights, vocabulary)


def test_many_misfits_are_counted(vocabulary):
    weights = {name: value for name, value in lavt().items() if "bias" not in name or "table" in name}
    with pytest.raises(CheckpointError, match=r"; and \d+ more$"):
        loaded(weights, vocabulary)


@pytest.mark.parametrize("weights", [{}, {"conv1.weight": torch.zeros(1)}])
def test_weights_of_another_model(weights, vocabulary):
    with pytest.raises(CheckpointError, match="neither LAVT's nor RMSIN's"):
        loaded(weights, vocabulary)


def test_weights_of_several_dtypes(vocabulary):
    weights = lavt()
    weights["backbone.norm0.bias"] = weights["backbone.norm0.bias"].double()
    with pytest.raises(CheckpointError, match=r"several dtypes: torch.float32, torch.float64"):
        loaded(weights, vocabulary)
