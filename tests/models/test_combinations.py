"""Every backbone of the configs with every text encoder: builds, learns a step and evaluates, at tiny size."""

from __future__ import annotations

from functools import partial

import pytest
import timm
import torch
from hydra.utils import instantiate

from sbanet.config import compose, config_dir
from sbanet.models.aggregators.tsca import TextConditionedAggregator
from sbanet.models.alignment.bam import BidirectionalAlignment
from sbanet.models.backbones.timm_backbone import TimmBackbone
from sbanet.models.decoders.topdown import TopDownDecoder
from sbanet.models.segmenter import ReferringSegmenter
from sbanet.models.text_encoders.pretrained import PretrainedTextEncoder
from sbanet.models.text_encoders.word_transformer import WordTransformer
from tests.models.tiny import TOKENIZER, images
from tests.tiny_transformers import CONFIGS, write_encoder

SENTENCES = ["the red ship", "ship on the left of the tank"]
KIND = {"bert_base": "bert", "roberta_base": "roberta", "distilbert": "distilbert", "minilm": "bert"}
KIND |= {"minilm_embedded": "bert", "clip_text": "clip", "siglip_text": "siglip", "transformers": "bert"}
SHALLOW = {"swin": {"depths": (1, 1, 1, 1), "embed_dim": 16, "num_heads": (1, 1, 2, 2), "window_size": 4}}
SHALLOW |= {"swinv2": SHALLOW["swin"], "convnext": {"depths": (1, 1, 1, 1), "dims": (16, 32, 32, 64)}}
SHALLOW |= {
    "resnet": {"layers": (1, 1, 1, 1)},
    "pvt": {"depths": (1, 1, 1, 1), "embed_dims": (16, 32, 32, 64), "num_heads": (1, 1, 2, 2)},
}


def options(group):
    return sorted(path.stem for path in (config_dir() / "model" / group).glob("*.yaml"))


def configured(group, option):
    needed = ["model.backbone.name=resnet18"] * (option == "timm") + ["model.text_encoder.source=x"] * (
        option == "transformers"
    )
    return compose("train", [f"model/{group}={option}", *needed]).model[group]


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    """A tiny encoder of each architecture."""
    return {kind: write_encoder(kind, tmp_path_factory.mktemp(kind)) for kind in CONFIGS}


@pytest.fixture(scope="module")
def backbones():
    """The backbone of each option, of its own family, with few blocks."""
    built = {}
    create = timm.create_model
    for option in options("backbone"):
        node = configured("backbone", option)
        if not node._target_.endswith("TimmBackbone"):
            built[option] = instantiate(node, channels=[8, 16, 16, 32], depths=[1, 1, 1, 1])
            continue
        few = next(
            (sizes for family, sizes in sorted(SHALLOW.items(), reverse=True) if node.name.startswith(family)), {}
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(timm, "create_model", partial(create, **few))
            built[option] = instantiate(node, weights=None)
    return built


def text_encoder(option, encoders):
    node = configured("text_encoder", option)
    if node._target_.endswith("WordTransformer"):
        return WordTransformer(tokenizer=TOKENIZER, width=32, depth=1)
    return PretrainedTextEncoder(source=str(encoders[KIND[option]]), max_tokens=16)


@pytest.mark.parametrize("text", options("text_encoder"))
@pytest.mark.parametrize("visual", options("backbone"))
def test_they_learn_together(visual, text, backbones, encoders):
    torch.manual_seed(0)
    model = ReferringSegmenter(
        backbone=backbones[visual],
        text_encoder=text_encoder(text, encoders),
        alignment=partial(BidirectionalAlignment, num_queries=2),
        aggregator=partial(TextConditionedAggregator, hidden=16),
        decoder=partial(TopDownDecoder, hidden=16),
    )
    model.zero_grad()
    inputs = images(2, 40, 33), *model.text_encoder.tokenizer(SENTENCES)
    logits = model.train()(*inputs)
    assert logits.shape == (2, 40, 33)
    torch.nn.functional.binary_cross_entropy_with_logits(logits, (images(2, 40, 33)[:, 0] > 0).float()).backward()
    silent = [name for name, weight in model.named_parameters() if weight.requires_grad and weight.grad is None]
    assert silent == []
    with torch.inference_mode():
        one, other = model.eval()(*inputs)
    assert one.isfinite().all()
    assert other.isfinite().all()


def test_the_options_are_of_the_families_that_they_name(backbones):
    assert isinstance(backbones["swin_base"], TimmBackbone)
    assert {type(module).__name__ for module in backbones["swinv2_base"].modules()} >= {"SwinTransformerV2Block"}
    assert {type(module).__name__ for module in backbones["convnext_base"].modules()} >= {"ConvNeXtBlock"}
    assert set(KIND) | {"word_transformer", "word_transformer_base"} == set(options("text_encoder"))
