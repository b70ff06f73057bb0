"""Models and inputs small enough that hundreds of combinations take seconds."""

from __future__ import annotations

import itertools
from functools import partial

import torch
from torch import nn

from sbanet.models.aggregators.cim import CrossScaleInteraction
from sbanet.models.aggregators.none import NoAggregator
from sbanet.models.aggregators.tsca import TextConditionedAggregator
from sbanet.models.alignment.bam import BidirectionalAlignment
from sbanet.models.alignment.iim import IntraScaleInteraction
from sbanet.models.alignment.none import NoAlignment
from sbanet.models.alignment.pwam import PixelWordAttention
from sbanet.models.backbones.small_conv import SmallConvNet
from sbanet.models.decoders.rotated import RotatedDecoder
from sbanet.models.decoders.topdown import TopDownDecoder
from sbanet.models.nodes import Words
from sbanet.models.positions import CoordinateEncoding
from sbanet.models.segmenter import ReferringSegmenter
from sbanet.models.text_encoders.word_transformer import WordTokenizer, WordTransformer

CHANNELS = (8, 16, 32, 64)
WIDTH = 64
TOKENIZER = WordTokenizer(["the", "small", "ship", "left", "of", "tank", "upper"], max_tokens=16)
SENTENCES = ["ship", "the small ship left of the small tank", "upper tank"]
SWIN = "swin_tiny_patch4_window7_224"

BAM = {
    "-".join(
        ["bam", str(queries), features]
        + ["unguided"] * (not guided)
        + ["one_way"] * (not two_way)
        + [f"inner{inner}"] * bool(inner)
    ): partial(
        BidirectionalAlignment,
        num_queries=queries,
        features=features,
        text_guided_selection=guided,
        vision_to_language=two_way,
        inner_width=inner,
    )
    for queries, features, guided, two_way, inner in itertools.product(
        (4, 0), ("both", "macro", "micro", "plain"), (True, False), (True, False), (None, 16)
    )
}
PWAM = {f"pwam-{heads}": partial(PixelWordAttention, heads=heads) for heads in (1, 2)}
IIM = {f"iim-{heads}": partial(IntraScaleInteraction, heads=heads) for heads in (1, 2)}
ALIGNMENTS = {**BAM, **PWAM, **IIM, "none": NoAlignment}
ONE_OF_EACH = {
    "bam": BAM["bam-4-both"],
    "bam-direct": BAM["bam-0-both-inner16"],
    "pwam": PWAM["pwam-2"],
    "iim": IIM["iim-2"],
    "none": NoAlignment,
}

TSCA = {
    "-".join(("tsca", *(name for name, on in switches.items() if on))): partial(
        TextConditionedAggregator, hidden=8, groups=2, **switches
    )
    for switches in (
        dict(zip(("channel", "spatial", "text_conditioned"), values, strict=True))
        for values in itertools.product((True, False), repeat=3)
    )
}
# for images up to 64 pixels high and wide whose sides are above 32
CIM = {"cim": partial(CrossScaleInteraction, grid=(2, 2), layout="intended", heads=2, key_width=4, value_width=8)}
AGGREGATORS = {**TSCA, **CIM, "none": NoAggregator}
ALL_OF_TSCA = TSCA["tsca-channel-spatial-text_conditioned"]

TOPDOWN = {
    f"topdown-{hidden or 'half'}-{outputs}-{align_corners}": partial(
        TopDownDecoder, hidden=hidden, num_outputs=outputs, align_corners=align_corners
    )
    for hidden, outputs, align_corners in itertools.product((None, 8), (1, 2), (False, True))
}
ROTATED = {
    f"rotated-{kernels}-{outputs}-{align_corners}": partial(
        RotatedDecoder, hidden=8, num_outputs=outputs, align_corners=align_corners, num_kernels=kernels
    )
    for kernels, outputs, align_corners in ((1, 1, False), (1, 2, True), (3, 1, True))
}
DECODERS = {**TOPDOWN, **ROTATED}
STAGE_SUBSETS = [
    subset for count in range(5) for subset in itertools.combinations(range(4), count)
]  # from none of the stages to all


def segmenter(**nodes) -> ReferringSegmenter:
    """A small SBANet, seeded; any constructor argument of the segmenter replaces its own."""
    torch.manual_seed(0)
    backbone = nodes.pop("backbone", None) or SmallConvNet(channels=CHANNELS, depths=(1, 1, 1, 1))
    defaults = {
        "text_encoder": WordTransformer(tokenizer=TOKENIZER, width=WIDTH, depth=1),
        "alignment": BAM["bam-4-both"],
        "aggregator": ALL_OF_TSCA,
        "decoder": partial(TopDownDecoder, hidden=8),
        "positions": CoordinateEncoding,
    }
    return ReferringSegmenter(backbone=backbone, **{**defaults, **nodes})


def stir(module: nn.Module, strength: float = 0.2) -> nn.Module:
    """Add noise to every parameter and buffer, so that nothing stands at a special value such as 0 or 1."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in itertools.chain(module.parameters(), module.buffers()):
            if tensor.is_floating_point():
                noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
                tensor += (strength * noise.abs() if tensor.dim() == 1 else strength * noise).to(tensor)
    return module


def noise(*shape: int, seed: int = 2, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def images(count: int, height: int, width: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return noise(count, 3, height, width, dtype=dtype)


def padded_words(*lengths: int, width: int = WIDTH, padding: float = 0.0) -> Words:
    """Random words, float64, one row a length; the padded positions hold noise of the given size."""
    features = noise(len(lengths), max(lengths), width, seed=3)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return Words(torch.where(mask[..., None], features, padding * features), mask)


def one_sentence(words: Words, row: int) -> Words:
    """The row alone, without its padding."""
    length = int(words.mask_BT[row].sum())
    return Words(words.features_BTD[row : row + 1, :length], words.mask_BT[row : row + 1, :length])
