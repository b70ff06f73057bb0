"""One backward pass reaches every parameter that asks for a gradient, in every combination of nodes.

Distributed training waits for the gradient of each; one that never comes stops it.
"""

from __future__ import annotations

import itertools

import pytest
import torch

from .tiny import (
    AGGREGATORS,
    ALIGNMENTS,
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

# exact zeros: a softmax does not see what all its scores share, and an instance norm no constant
BLIND_TO = {"query.bias", "key.bias", "value.bias", "attended_projection.bias"}


def backward(model, size=(64, 40)):
    parameter = next(model.parameters())
    logits = model.train()(images(2, *size, parameter.dtype), *TOKENIZER(SENTENCES[:2]))
    (logits * noise(*logits.shape, seed=7, dtype=parameter.dtype)).sum().backward()


def check(**nodes):
    model = segmenter(**nodes)
    model.zero_grad()
    backward(model)
    parameters = dict(model.named_parameters())
    reached = {name for name, parameter in parameters.items() if parameter.grad is not None}
    assert reached == {name for name, parameter in parameters.items() if parameter.requires_grad}
    assert not [name for name in reached if not parameters[name].grad.isfinite().all()]


@pytest.mark.parametrize("alignment", ALIGNMENTS.values(), ids=ALIGNMENTS)
def test_every_alignment(alignment):
    check(alignment=alignment)


@pytest.mark.parametrize("aggregator", AGGREGATORS.values(), ids=AGGREGATORS)
@pytest.mark.parametrize("alignment", ONE_OF_EACH.values(), ids=ONE_OF_EACH)
def test_every_aggregator(alignment, aggregator):
    check(alignment=alignment, aggregator=aggregator)


@pytest.mark.parametrize("name", ["bam", "pwam", "iim"])
@pytest.mark.parametrize("stages", STAGE_SUBSETS, ids=str)
def test_every_subset_of_stages(stages, name):
    check(alignment=ONE_OF_EACH[name], aggregator=AGGREGATORS["none"], alignment_stages=stages)


@pytest.mark.parametrize("alignment", ONE_OF_EACH.values(), ids=ONE_OF_EACH)
def test_without_positions(alignment):
    check(alignment=alignment, positions=None)


@pytest.mark.parametrize("name", DECODERS)
def test_every_decoder(name):
    check(decoder=DECODERS[name], align_corners="True" in name)


@pytest.mark.parametrize("alignment", ONE_OF_EACH.values(), ids=ONE_OF_EACH)
def test_swin(swin, alignment):
    check(backbone=swin, alignment=alignment)


@pytest.mark.slow
@pytest.mark.parametrize("alignment", ALIGNMENTS.values(), ids=ALIGNMENTS)
def test_every_combination(alignment):
    some_stages = [(0,), (0, 1, 2), (0, 1, 2, 3)]
    for aggregator, stages in itertools.product(AGGREGATORS.values(), some_stages):
        check(alignment=alignment, aggregator=aggregator, alignment_stages=stages)


@pytest.mark.parametrize(
    ("alignment", "blind_to"),
    [
        ("bam-4-both", set()),
        ("bam-4-both-inner16", set()),
        ("bam-0-both", set()),
        ("pwam-2", BLIND_TO),
        ("iim-2", BLIND_TO),
    ],
)
def test_every_gradient_says_something(alignment, blind_to):
    """A parameter that is reached but whose gradient is zero wherever it stands would be dead weight."""
    model = stir(segmenter(alignment=ALIGNMENTS[alignment])).double()
    backward(model)
    dead = {
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and parameter.grad.abs().amax() < 1e-9
    }
    assert dead == {f"alignments.{stage}.{name}" for stage in range(4) for name in blind_to}


@pytest.mark.parametrize("alignment", ["bam-4-both", "bam-0-both", "pwam-1", "iim-1"])
def test_gradients_are_those_of_the_numbers(alignment):
    """The slope along a random direction, by finite differences."""
    model = stir(segmenter(alignment=ALIGNMENTS[alignment])).double().eval()
    image, tokens, weights = images(2, 32, 40, torch.float64), TOKENIZER(SENTENCES[:2]), noise(2, 32, 40)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    direction = [noise(*parameter.shape, seed=11) for parameter in parameters]

    def score(step):
        with torch.no_grad():
            for parameter, along in zip(parameters, direction, strict=True):
                parameter += step * along
        return (model(image, *tokens) * weights).sum()

    score(0.0).backward()
    slope = sum((parameter.grad * along).sum() for parameter, along in zip(parameters, direction, strict=True))
    step = 1e-7
    measured = (score(step) - score(-2 * step)) / (2 * step)
    torch.testing.assert_close(slope, measured.detach(), rtol=1e-4, atol=1e-4)
