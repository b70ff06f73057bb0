"""The composition of the nodes: shapes, sizes, padding, weights."""

import copy
import pickle
import re
import sys
from functools import partial
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from sbanet.models.alignment.none import NoAlignment
from sbanet.models.backbones.small_conv import SmallConvNet
from sbanet.models.decoders.topdown import TopDownDecoder
from sbanet.models.segmenter import ReferringSegmenter

from .tiny import (
    AGGREGATORS,
    ALIGNMENTS,
    BAM,
    DECODERS,
    ONE_OF_EACH,
    SENTENCES,
    STAGE_SUBSETS,
    TOKENIZER,
    images,
    noise,
    segmenter,
    stir,
)

SMALL = [(32, 32), (64, 64), (65, 97), (33, 61), (1, 1), (1, 64), (40, 3)]
LARGE = [(127, 640), (480, 480), (800, 799), (1023, 513), (1024, 1024)]
MODELS = {
    **{f"{name}+tsca": {"alignment": alignment} for name, alignment in ONE_OF_EACH.items()},
    "pwam": {"alignment": ONE_OF_EACH["pwam"], "aggregator": AGGREGATORS["none"]},
    "iim": {
        "alignment": ONE_OF_EACH["iim"],
        "aggregator": AGGREGATORS["none"],
        "decoder": DECODERS["rotated-3-1-True"],
    },
    "bam-one_way": {"alignment": BAM["bam-4-micro-unguided-one_way"], "positions": None},
    "bam-late": {"alignment_stages": (2, 3), "aggregator": AGGREGATORS["tsca-channel"]},
}


# made for one size of image
ONE_SIZE = {"rmsin": {**MODELS["iim"], "aggregator": AGGREGATORS["cim"]}}


def model_named(name, swin=None):
    if name == "swin":
        return segmenter(backbone=copy.deepcopy(swin))
    return segmenter(**(MODELS | ONE_SIZE)[name])


@pytest.fixture(params=[*MODELS, *ONE_SIZE, "swin"])
def exact_model(request):
    """In float64 and eval mode, all of its parts at work."""
    if request.param == "swin":
        return request.getfixturevalue("exact_swin")
    # RMSIN's aggregator is deep: strong noise would grow beyond the tolerance
    return stir(model_named(request.param), 0.1 if request.param in ONE_SIZE else 0.2).double().eval()


@pytest.mark.parametrize("size", SMALL)
@pytest.mark.parametrize("name", MODELS)
@torch.inference_mode()
def test_logits_have_the_size_of_the_image(name, size):
    logits = segmenter(**MODELS[name]).eval()(images(2, *size), *TOKENIZER(SENTENCES[:2]))
    assert logits.shape == (2, *size)
    assert logits.isfinite().all()


@pytest.mark.parametrize("size", SMALL)
@torch.inference_mode()
def test_logits_of_a_swin_have_the_size_of_the_image(swin, size):
    logits = segmenter(backbone=swin).eval()(images(1, *size), *TOKENIZER(SENTENCES[:1]))
    assert logits.shape == (1, *size)
    assert logits.isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("size", LARGE)
@pytest.mark.parametrize("name", ["bam+tsca", "bam-direct+tsca", "pwam", "swin"])
@torch.inference_mode()
def test_logits_of_large_images(swin, name, size):
    logits = model_named(name, swin).eval()(images(1, *size), *TOKENIZER(SENTENCES[:1]))
    assert logits.shape == (1, *size)
    assert logits.isfinite().all()


@pytest.mark.parametrize("name", DECODERS)
@torch.inference_mode()
def test_logits_of_every_decoder(name):
    model = segmenter(decoder=DECODERS[name], align_corners="True" in name).eval()
    expected = (2, 2, 65, 40) if model.decoder.num_outputs == 2 else (2, 65, 40)
    assert model(images(2, 65, 40), *TOKENIZER(SENTENCES[:2])).shape == expected


@torch.inference_mode()
def test_the_final_resize_is_the_one_asked_for():
    image, tokens = images(1, 30, 45), TOKENIZER(SENTENCES[:1])
    for align_corners in (False, True):
        model = stir(segmenter(align_corners=align_corners)).eval()
        seen = []
        model.decoder.register_forward_hook(lambda _, __, logits, seen=seen: seen.append(logits))
        logits = model(image, *tokens)
        expected = nn.functional.interpolate(
            seen[0].unsqueeze(1), (30, 45), mode="bilinear", align_corners=align_corners
        )
        torch.testing.assert_close(logits, expected.squeeze(1), rtol=0, atol=1e-5)


@torch.inference_mode()
def test_padding_changes_nothing(exact_model):
    """A batch of sentences gives what each gives alone, whatever the padding holds, however long it is."""
    image, (token_ids, token_mask) = images(3, 40, 56, torch.float64), TOKENIZER(SENTENCES)
    assert not token_mask.all()
    logits = exact_model(image, token_ids, token_mask)
    for row, expression in enumerate(SENTENCES):
        alone = exact_model(image[row : row + 1], *TOKENIZER([expression]))[0]
        torch.testing.assert_close(logits[row], alone, rtol=0, atol=1e-10)

    longer_ids = nn.functional.pad(token_ids, (0, 3), value=5)
    longer_mask = nn.functional.pad(token_mask, (0, 3), value=False)
    garbage = torch.randint(3, len(TOKENIZER.words), longer_ids.shape, generator=torch.Generator().manual_seed(0))
    garbage = torch.where(longer_mask, longer_ids, garbage)
    torch.testing.assert_close(exact_model(image, garbage, longer_mask), logits, rtol=0, atol=1e-10)


@torch.inference_mode()
def test_neighbours_change_nothing(exact_model):
    image, (token_ids, token_mask) = images(3, 40, 56, torch.float64), TOKENIZER(SENTENCES)
    logits = exact_model(image, token_ids, token_mask)
    order = [2, 0, 1]
    permuted = exact_model(image[order], token_ids[order], token_mask[order])
    torch.testing.assert_close(permuted, logits[order], rtol=0, atol=1e-10)

    other_ids, other_mask = token_ids.clone(), token_mask.clone()
    other_ids[1, 1:3], other_mask[1, 5:] = TOKENIZER.ids["tank"], False
    image[1] = image[1].flip(-1)
    changed = exact_model(image, other_ids, other_mask)
    torch.testing.assert_close(changed[[0, 2]], logits[[0, 2]], rtol=0, atol=1e-10)
    assert (changed[1] - logits[1]).abs().amax() > 1e-6


@pytest.mark.parametrize("stages", [(0, 1, 2, 3), (2, 3), (1,), ()], ids=str)
@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("sentences", [None, (2, 2), (1, 3)], ids=str)
def test_sentences_may_share_their_image(stages, channels_last, sentences):
    model = stir(segmenter(alignment_stages=stages, channels_last=channels_last)).double().eval()
    image, tokens = images(2, 40, 56, torch.float64), TOKENIZER([*SENTENCES[:3], SENTENCES[1]])
    rows = []
    model.backbone.stages[0].register_forward_hook(lambda _, __, visual: rows.append(len(visual)))
    each = image.repeat_interleave(torch.tensor(sentences or (2, 2)), 0)
    shared, apart = model(image, *tokens, sentences), model(each, *tokens)
    assert rows == [2, 4]
    torch.testing.assert_close(shared, apart, rtol=0, atol=1e-10)
    weights, parameters = noise(*apart.shape), [p for p in model.parameters() if p.requires_grad]
    ones, others = (
        torch.autograd.grad((logits * weights).sum(), parameters, allow_unused=True) for logits in (shared, apart)
    )
    for one, other in zip(ones, others, strict=True):
        if other is not None:
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_sentences_that_cannot_be_shared_out_are_refused():
    with pytest.raises(ValueError, match="3 sentences to 2 images: expected one or as many to each image"):
        segmenter()(images(2, 40, 56), *TOKENIZER(SENTENCES[:3]))
    for sentences in ([1, 1], [3]):
        with pytest.raises(ValueError, match=r"sentences=\[.*\]: expected one number for each of 2 images, 3 in all"):
            segmenter()(images(2, 40, 56), *TOKENIZER(SENTENCES[:3]), sentences)


@torch.inference_mode()
def test_the_sentence_matters(exact_model):
    image = images(2, 40, 56, torch.float64)[:1].expand(2, -1, -1, -1)
    one, two = exact_model(image, *TOKENIZER(["ship left of tank", "tank left of ship"]))
    assert (one - two).abs().amax() > 1e-6


@pytest.mark.parametrize(
    ("nodes", "reads_words"),
    [
        ({}, True),
        ({"alignment": NoAlignment}, True),  # the aggregator reads them
        ({"alignment": NoAlignment, "aggregator": AGGREGATORS["tsca-channel"]}, False),
        ({"alignment": NoAlignment, "aggregator": AGGREGATORS["tsca-text_conditioned"]}, False),
        ({"alignment": NoAlignment, "aggregator": AGGREGATORS["none"]}, False),
        ({"alignment": NoAlignment, "aggregator": AGGREGATORS["cim"]}, False),
        ({"alignment_stages": (), "aggregator": AGGREGATORS["none"]}, False),
        ({"alignment_stages": (1,), "aggregator": AGGREGATORS["none"]}, True),
    ],
)
@torch.inference_mode()
def test_a_model_knows_whether_it_reads_the_sentence(nodes, reads_words):
    model = stir(segmenter(**nodes)).double().eval()
    assert model.reads_words == reads_words
    assert {parameter.requires_grad for parameter in model.text_encoder.parameters()} == {reads_words}
    image = images(1, 40, 40, torch.float64)
    one, two = model(image, *TOKENIZER(["ship"])), model(image, *TOKENIZER(["upper tank"]))
    assert torch.equal(one, two) != reads_words


@pytest.mark.parametrize("name", ["bam+tsca", "bam-direct+tsca", "pwam", "iim", "rmsin"])
def test_the_memory_layout_changes_nothing(name):
    model = stir(model_named(name)).double()
    image, tokens = images(2, 56 if name in ONE_SIZE else 72, 56, torch.float64), TOKENIZER(SENTENCES[:2])
    copied = copy.deepcopy(model).to(memory_format=torch.contiguous_format)
    copied.channels_last = False
    torch.manual_seed(0)  # of dropout
    expected = model(image.to(memory_format=torch.channels_last), *tokens)
    torch.manual_seed(0)
    logits = copied(image, *tokens)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-10)
    weights = noise(*logits.shape)
    (expected * weights).sum().backward()
    (logits * weights).sum().backward()
    for (key, one), two in zip(model.named_parameters(), copied.parameters(), strict=True):
        if one.grad is not None:
            torch.testing.assert_close(two.grad, one.grad, rtol=1e-9, atol=1e-9, msg=key)


@pytest.mark.parametrize("name", [*MODELS, *ONE_SIZE, pytest.param("swin", marks=pytest.mark.slow)])
def test_bfloat16(swin, name):
    model, tokens = stir(model_named(name, swin), 0.02), TOKENIZER(SENTENCES)
    image = images(3, 64, 40)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(image, *tokens)
        logits.square().mean().backward()
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.requires_grad]
    assert all(gradient.isfinite().all() for gradient in gradients)
    with torch.inference_mode():
        model.eval()
        exact = model(image, *tokens)
        with torch.autocast("cpu", torch.bfloat16):
            rough = model(image, *tokens)
    assert (rough - exact).abs().mean() < 0.1 * exact.std()


def test_the_weights_make_the_model():
    torch.manual_seed(1)
    model, tokens = stir(segmenter()).eval(), TOKENIZER(SENTENCES)
    other, image = segmenter().eval(), images(3, 32, 40)
    with torch.inference_mode():
        expected = model(image, *tokens)
        assert not torch.equal(other(image, *tokens), expected)
        other.load_state_dict(model.state_dict(), strict=True)
        assert torch.equal(other(image, *tokens), expected)
        assert torch.equal(copy.deepcopy(model)(image, *tokens), expected)
        assert torch.equal(pickle.loads(pickle.dumps(model))(image, *tokens), expected)


def test_weights_of_another_vocabulary_are_refused():
    state = segmenter().state_dict()
    state["text_encoder._extra_state"]["words"] = ["ship"]
    with pytest.raises(ValueError, match="another vocabulary"):
        segmenter().load_state_dict(state)


def test_the_names_of_the_weights():
    """Checkpoints lie on people's disks: a name that changes here needs a way to read the old ones."""
    names = {re.sub(r"\.\d+", ".#", ".".join(key.split(".")[:3])) for key in segmenter().state_dict()}
    assert names == {
        "backbone.embed.#",
        "backbone.stages.#",
        "text_encoder._extra_state",
        "text_encoder.embedding.weight",
        "text_encoder.layers.#",
        "text_encoder.norm.bias",
        "text_encoder.norm.weight",
        "text_encoder.position_embedding.weight",
        "positions.projections.#",
        "alignments.#.fused_norm",
        "alignments.#.fusion_projection",
        "alignments.#.gate",
        "alignments.#.gather",
        "alignments.#.pixel_norm",
        "alignments.#.pixel_projection",
        "alignments.#.read",
        "alignments.#.select",
        "alignments.#.to_language",
        "alignments.#.updated_word_norm",
        "alignments.#.word_norm",
        "alignments.#.word_projection",
        "aggregator.channel.mlp",
        "aggregator.gates.#",
        "aggregator.mix.#",
        "aggregator.project.#",
        "aggregator.restore.#",
        "aggregator.spatial.score",
        "aggregator.spatial.sentence",
        "decoder.classifier.bias",
        "decoder.classifier.weight",
        "decoder.levels.#",
    }
    pwam = segmenter(alignment=ALIGNMENTS["pwam-1"]).alignments[0].state_dict()
    assert {key.partition(".")[0] for key in pwam} == {
        "attended_projection",
        "fusion_projection",
        "gate",
        "key",
        "norm",
        "query",
        "value",
        "visual_projection",
    }


def test_a_backbone_of_other_strides():
    backbone = SmallConvNet()
    backbone.strides = [2, 4, 8, 16]
    message = r"model.backbone: SmallConvNet publishes .*\[2, 4, 8, 16\].*expected.*\[4, 8, 16, 32\]"
    with pytest.raises(ValueError, match=message):
        segmenter(backbone=backbone)


def test_a_backbone_of_three_stages():
    backbone = SmallConvNet()
    backbone.channels = backbone.channels[:3]
    with pytest.raises(ValueError, match="expected four stages"):
        segmenter(backbone=backbone)


@pytest.mark.parametrize("stages", [(4,), (-1, 0), (0, 1, 2, 3, 7)])
def test_unknown_stages(stages):
    with pytest.raises(ValueError, match=r"model.alignment_stages: .* are no stages; known: 0, 1, 2, 3"):
        segmenter(alignment_stages=stages)


@pytest.mark.parametrize("stages", STAGE_SUBSETS, ids=str)
def test_the_stages_that_are_aligned(stages):
    model = segmenter(alignment_stages=list(stages))
    aligned = [not isinstance(alignment, NoAlignment) for alignment in model.alignments]
    assert aligned == [stage in stages for stage in range(4)]


def test_nodes_are_completed_with_what_is_published():
    asked = {}

    def record(name, factory):
        def build(**arguments):
            asked.setdefault(name, []).append(arguments)
            return factory(**arguments)

        return build

    segmenter(
        alignment=record("alignment", NoAlignment),
        aggregator=record("aggregator", AGGREGATORS["none"]),
        decoder=record("decoder", partial(TopDownDecoder, hidden=8)),
    )
    channels = [8, 16, 32, 64]
    assert asked == {
        "alignment": [{"channels": count, "width": 64, "stage": stage} for stage, count in enumerate(channels)],
        "aggregator": [{"channels": channels, "width": 64}],
        "decoder": [{"channels": channels}],
    }


def test_loading_and_predicting_are_delegated(monkeypatch):
    inference = ModuleType("sbanet.inference")
    inference.load_segmenter = lambda path, **options: (path, options)
    inference.predict = lambda model, image, expression: SimpleNamespace(mask=np.full((2, 3), expression == "ship"))
    monkeypatch.setitem(sys.modules, "sbanet.inference", inference)
    assert ReferringSegmenter.from_checkpoint("best.ckpt", device="cpu") == ("best.ckpt", {"device": "cpu"})
    assert segmenter().predict(np.zeros((2, 3, 3), np.uint8), "ship").all()
