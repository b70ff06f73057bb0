"""The reference cases: weights and inputs that are made from names, and the numbers that official code gave."""

from __future__ import annotations

import hashlib
import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timm.models.swin_transformer import window_partition
from torch import Tensor

INTEGERS = ("relative_position_index", "position_ids", "num_batches_tracked")


def generator(name: str) -> np.random.Generator:
    digest = hashlib.sha256(name.encode()).digest()[:8]
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))


def weight(name: str, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """A weight as a function of its official name."""
    if name.endswith(INTEGERS):
        return torch.zeros(shape, dtype=torch.int64)
    z = generator(name).standard_normal(size=shape)
    if name.endswith(".running_mean"):
        z = 0.02 * z
    elif name.endswith(".running_var"):
        z = 1 + 0.1 * np.abs(z)
    elif len(shape) >= 2:
        z = max(0.02, 0.5 / np.sqrt(z.size / shape[0])) * z
    elif name.endswith(".weight"):
        z = 1 + 0.02 * z
    else:
        z = 0.02 * z
    return torch.from_numpy(np.asarray(z)).to(dtype)


def weights(shapes: dict[str, tuple[int, ...]], dtype: torch.dtype) -> dict[str, Tensor]:
    return {name: weight(name, shape, dtype) for name, shape in shapes.items()}


def inputs(height: int, width: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Image (2, 3, H, W), token ids and mask (2, 20)."""
    image = torch.from_numpy(generator("image").standard_normal((2, 3, height, width))).to(dtype)
    ids = generator("tokens").integers(1000, 30000, size=(2, 20))
    lengths = (20, 11)
    for row, length in zip(ids, lengths, strict=True):
        row[0], row[length - 1] = 101, 102
        row[length:] = 0
    mask = torch.arange(20) < torch.tensor(lengths)[:, None]
    return image, torch.from_numpy(ids), mask


def target(height: int, width: int) -> Tensor:
    """(2, H, W) int64."""
    low = generator("mask").random((2, -(-height // 16), -(-width // 16))) < 0.3
    return torch.from_numpy(low.repeat(16, axis=1).repeat(16, axis=2)[:, :height, :width].astype(np.int64))


def subsample(tensor: Tensor, count: int) -> np.ndarray:
    flat = tensor.detach().contiguous().flatten()
    if flat.numel() <= 64:
        return flat.numpy()
    step = max(1, flat.numel() // count) | 1
    return flat[::step][:count].numpy()


def pixels_first(visual: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H*W, C)."""
    return visual.flatten(2).transpose(1, 2)


class Golden:
    """One case: its facts, and the arrays stored of it."""

    def __init__(self, folder: Path, model: str, case: str) -> None:
        self.model = model
        described = json.loads((folder / f"{model}.json").read_text())
        self.facts: dict[str, Any] = described["cases"][case]
        self.arrays = {
            name.removeprefix(f"{case}/"): array
            for name, array in np.load(folder / f"{model}.npz").items()
            if name.startswith(f"{case}/")
        }
        self.dtype = torch.float64 if case.endswith("f64") else torch.float32
        stored = described["state_dict"]
        entries = stored[case if case in stored else case.replace("f64", "f32")]
        self.shapes = {name: tuple(shape) for name, shape, _ in entries}

    def weights(self) -> dict[str, Tensor]:
        return weights(self.shapes, self.dtype)

    def inputs(self) -> tuple[Tensor, Tensor, Tensor]:
        return inputs(*self.size, self.dtype)

    @property
    def size(self) -> tuple[int, int]:
        size = self.facts["size"]
        return tuple(size) if isinstance(size, list) else (size, size)


def in_windows(block: Any, map_BPC: Tensor) -> Tensor:
    """What a block has attended on a square map of whole windows, as the official code holds it: (windows, N, C)."""
    side = math.isqrt(map_BPC.shape[1])
    if side % block.window_size[0]:
        return map_BPC  # nothing is computed of the padding
    shifted = map_BPC.unflatten(1, (side, side)).roll([-shift for shift in block.shift_size], (1, 2))
    return window_partition(shifted, block.window_size).flatten(1, 2)


class Features:
    """What the modules of a model return, by the names of the official ones; filled by a forward pass."""

    def __init__(self, model: Any) -> None:
        self.found: dict[str, Tensor] = {}
        encoder = model.text_encoder.encoder
        self._output("text_encoder.embeddings.0", encoder.embeddings)
        for number, layer in enumerate(encoder.encoder.layer):
            self._output(f"text_encoder.encoder.layer.{number}.0", layer)
        self._output("text_encoder.0", encoder, lambda output: output.last_hidden_state)
        self._output("backbone.patch_embed.0", model.backbone.stem)
        for stage, alignment in enumerate(model.alignments):
            layers = getattr(model.backbone.stages[stage], f"layers_{stage}")
            for number, block in enumerate(layers.blocks):
                self._output(f"backbone.layers.{stage}.blocks.{number}.0", block)
                attended = partial(in_windows, block)
                self._output(f"backbone.layers.{stage}.blocks.{number}.attn.0", block.attn.proj_drop, attended)
            if stage:
                self._output(f"backbone.layers.{stage - 1}.1", layers.downsample)
            self._input(f"backbone.layers.{stage}.fusion.0", alignment.norm)
            self._input(f"backbone.layers.{stage}.0", alignment.norm)
            self._output(f"backbone.norm{stage}.0", alignment.norm)
            if hasattr(alignment, "visual_branch"):
                self._output(f"backbone.layers.{stage}.visual_residual.0", alignment.visual_branch, pixels_first)
        model.alignments[-1].register_forward_hook(self._keep_gated)
        if hasattr(model.aggregator, "first_attention"):
            self._of_rmsin(model)
        model.decoder.register_forward_pre_hook(self._keep_maps)
        for level, stage in zip(model.decoder.levels, (4, 3, 2), strict=True):
            self._output(f"classifier.bn1_{stage}.0", level[1])
            self._output(f"classifier.conv2_{stage}.0", level[3])
        self._output("classifier.0", model.decoder)

    def _of_rmsin(self, model: Any) -> None:
        cim = model.aggregator
        self._input("backbone.cim.pool.0", cim.reduce)
        cim.first_attention.register_forward_hook(
            lambda _module, inputs, output: self.found.update({"backbone.cim.block.0.csa1.0": inputs[0] + output})
        )
        self._input("backbone.cim.block.0.intra_ff.0", cim.second_attention)
        self._input("backbone.cim.block.0.0", cim.norm)
        self._output("backbone.cim.up_channel.0", cim.restore)
        for level, stage in zip(model.decoder.levels, (4, 3, 2), strict=True):
            self._output(f"classifier.conv2_{stage}.rounting_func.0", level[3].routing, lambda output: output[0])
            self._output(f"classifier.conv2_{stage}.rounting_func.1", level[3].routing, lambda output: output[1])

    def _output(self, name: str, module: torch.nn.Module, pick: Any = None) -> None:
        def keep(_module: Any, _inputs: Any, output: Any) -> None:
            output = pick(output) if pick else output
            output = output[0] if isinstance(output, tuple) else output
            self.found[name] = output.detach().clone()  # an activation in place may follow

        module.register_forward_hook(keep)

    def _input(self, name: str, module: torch.nn.Module) -> None:
        module.register_forward_pre_hook(lambda _module, inputs: self.found.update({name: inputs[0].detach().clone()}))

    def _keep_gated(self, alignment: Any, inputs: Any, _output: Any) -> None:
        """The official last stage computes what goes into no next one; ours has the weights for it alone."""
        visual, fused = inputs[0].detach(), self.found["backbone.layers.3.fusion.0"]
        with torch.no_grad():
            gated = visual.flatten(2).transpose(1, 2) + alignment.gate(fused)
            if hasattr(alignment, "visual_branch"):
                weighed = alignment.visual_branch(visual).flatten(2).transpose(1, 2)
                gated = gated + alignment.visual_gate(weighed)
        self.found["backbone.layers.3.1"] = gated

    def _keep_maps(self, _module: Any, inputs: Any) -> None:
        self.found.update({f"backbone.{stage}": value.detach().clone() for stage, value in enumerate(inputs[0])})
