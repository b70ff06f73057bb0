"""The plain way to read a referring dataset, as the official code of LAVT, RMSIN and their kin has it.

Pillow opens and resizes the image; all of the mask is decoded, and resized by Pillow; both become tensors one by one,
and torch's own collate function stacks them. Sentences are tokenised beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from torch.utils.data import Dataset
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

from sbanet.data.readers.refer import Referent

TOKENS = 20

Item = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


class Peer(Dataset[Item]):
    """A sample a referent.

    Args:
        referents: of the split.
        images: their folder.
        side: of the square that the network sees, pixels.
        mean: of each channel, on the scale 0 to 1.
        std: of each channel, on the scale 0 to 1.
    """

    def __init__(
        self, referents: Sequence[Referent], images: Path, side: int, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        self.referents = list(referents)
        self.images = images
        self.side = side
        self.mean, self.std = list(mean), list(std)
        self.tokens = torch.ones(len(self.referents), TOKENS, dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.referents)

    def __getitem__(self, position: int) -> Item:
        referent = self.referents[position]
        image, mask = self.resized(self.read(referent), self.mask(referent))
        tokens = self.tokens[position]
        return *self.tensors(image, mask), tokens, torch.ones_like(tokens)

    def read(self, referent: Referent) -> Image.Image:
        """The image."""
        return Image.open(self.images / referent.file).convert("RGB")

    def mask(self, referent: Referent) -> Image.Image:
        """The mask at the image's own size, 0 and 1."""
        covered = np.sum(coco_mask.decode(referent.segmentation), axis=2).astype(np.uint8)
        mask = np.zeros(covered.shape)
        mask[covered == 1] = 1
        return Image.fromarray(mask.astype(np.uint8))

    def resized(self, image: Image.Image, mask: Image.Image) -> tuple[Image.Image, Image.Image]:
        """Both at the network's size."""
        size = [self.side, self.side]
        return F.resize(image, size), F.resize(mask, size, interpolation=InterpolationMode.NEAREST)

    def tensors(self, image: Image.Image, mask: Image.Image) -> tuple[torch.Tensor, torch.Tensor]:
        """The image normalised, (3, side, side) float32; the mask (side, side) int64."""
        target = torch.as_tensor(np.asarray(mask).copy(), dtype=torch.int64)
        return F.normalize(F.to_tensor(image), mean=self.mean, std=self.std), target
