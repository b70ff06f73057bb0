"""Models that are slow to build are built once."""

import copy

import pytest
import torch

from sbanet.models.backbones.timm_backbone import TimmBackbone
from sbanet.models.segmenter import ReferringSegmenter

from .tiny import SWIN, segmenter, stir


@pytest.fixture(scope="session")
def swin() -> TimmBackbone:
    """The smallest of timm's Swins, random weights; shared, so leave it as it is."""
    torch.manual_seed(0)
    return TimmBackbone(name=SWIN)


@pytest.fixture(scope="session")
def exact_swin(swin) -> ReferringSegmenter:
    """A whole model on a Swin, in float64 and eval mode, all of its parts at work."""
    # a Swin is deep: strong noise in every layer would drown the sentence
    return stir(segmenter(backbone=copy.deepcopy(swin)), 0.02).double().eval()
