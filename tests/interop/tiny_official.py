"""Weights by the official names, of models with a handful of channels."""

from __future__ import annotations

import torch
from torch import Tensor

EMBED, WIDTH, WORDS, HIDDEN, WINDOW = 16, 64, 30522, 12, 4
HEADS = (1, 1, 2, 2)
GRID = 15


def lavt(dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """All entries of the official `state_dict` of a LAVT of this size, with random values."""
    shapes = {**_swin(), **_fusions(), **_bert(), **_decoder()}
    shapes["classifier.conv1_1.weight"], shapes["classifier.conv1_1.bias"] = (2, HIDDEN, 1, 1), (2,)
    return _filled(shapes, dtype)


def _filled(shapes: dict[str, tuple[int, ...]], dtype: torch.dtype) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    weights = {
        name: 0.1 * torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
        for name, shape in shapes.items()
    }
    for name in weights:
        if name.endswith("running_var"):
            weights[name] = weights[name].abs() + 1
        if name.endswith("num_batches_tracked"):
            weights[name] = torch.zeros((), dtype=torch.int64)
    return weights


def _channels(stage: int) -> int:
    return EMBED * 2**stage


def _swin() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "backbone.patch_embed.proj.weight": (EMBED, 3, 4, 4),
        "backbone.patch_embed.proj.bias": (EMBED,),
        "backbone.patch_embed.norm.weight": (EMBED,),
        "backbone.patch_embed.norm.bias": (EMBED,),
    }
    for stage in range(4):
        c, block = _channels(stage), f"backbone.layers.{stage}.blocks.0."
        shapes |= {
            block + "attn.relative_position_bias_table": ((2 * WINDOW - 1) ** 2, HEADS[stage]),
            block + "attn.qkv.weight": (3 * c, c),
            block + "attn.qkv.bias": (3 * c,),
            block + "attn.proj.weight": (c, c),
            block + "attn.proj.bias": (c,),
            block + "mlp.fc1.weight": (4 * c, c),
            block + "mlp.fc1.bias": (4 * c,),
            block + "mlp.fc2.weight": (c, 4 * c),
            block + "mlp.fc2.bias": (c,),
        }
        shapes |= {f"{block}{norm}.{kind}": (c,) for norm in ("norm1", "norm2") for kind in ("weight", "bias")}
        if stage < 3:
            merging = f"backbone.layers.{stage}.downsample."
            shapes |= {
                merging + "norm.weight": (4 * c,),
                merging + "norm.bias": (4 * c,),
                merging + "reduction.weight": (2 * c, 4 * c),
            }
    return shapes


def _fusions() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for stage in range(4):
        c, layer = _channels(stage), f"backbone.layers.{stage}."
        convolutions = {
            "fusion.vis_project.0": c,
            "fusion.image_lang_att.f_query.0": c,
            "fusion.image_lang_att.f_key.0": WIDTH,
            "fusion.image_lang_att.f_value.0": WIDTH,
            "fusion.image_lang_att.W.0": c,
            "fusion.project_mm.0": c,
        }
        for name, inputs in convolutions.items():
            shapes |= {f"{layer}{name}.weight": (c, inputs, 1), f"{layer}{name}.bias": (c,)}
        shapes |= {f"{layer}res_gate.{number}.weight": (c, c) for number in (0, 2)}
        shapes |= {f"backbone.norm{stage}.{kind}": (c,) for kind in ("weight", "bias")}
    return shapes


def _bert() -> dict[str, tuple[int, ...]]:
    embeddings, layer = "text_encoder.embeddings.", "text_encoder.encoder.layer.0."
    shapes: dict[str, tuple[int, ...]] = {
        embeddings + "word_embeddings.weight": (WORDS, WIDTH),
        embeddings + "position_embeddings.weight": (32, WIDTH),
        embeddings + "token_type_embeddings.weight": (2, WIDTH),
    }
    for norm in (embeddings, layer + "attention.output.", layer + "output."):
        shapes |= {f"{norm}LayerNorm.{kind}": (WIDTH,) for kind in ("weight", "bias")}
    linear = {
        "attention.self.query": (WIDTH, WIDTH),
        "attention.self.key": (WIDTH, WIDTH),
        "attention.self.value": (WIDTH, WIDTH),
        "attention.output.dense": (WIDTH, WIDTH),
        "intermediate.dense": (96, WIDTH),
        "output.dense": (WIDTH, 96),
    }
    for name, (outputs, inputs) in linear.items():
        shapes |= {f"{layer}{name}.weight": (outputs, inputs), f"{layer}{name}.bias": (outputs,)}
    return shapes


def _decoder() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    incoming = {4: _channels(3) + _channels(2), 3: HIDDEN + _channels(1), 2: HIDDEN + _channels(0)}
    for level, inputs in incoming.items():
        shapes[f"classifier.conv1_{level}.weight"] = (HIDDEN, inputs, 3, 3)
        shapes[f"classifier.conv2_{level}.weight"] = (HIDDEN, HIDDEN, 3, 3)
        for number in (1, 2):
            norm = f"classifier.bn{number}_{level}."
            kinds = ("weight", "bias", "running_mean", "running_var")
            shapes |= {norm + kind: (HIDDEN,) for kind in kinds} | {norm + "num_batches_tracked": ()}
    return shapes
