"""The reference cases: weights and inputs that are made from names, and the numbers that official code gave."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
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


class Golden:
    """One case: its facts, and the arrays stored of it."""

    def __init__(self, folder: Path, model: str, case: str) -> None:
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
