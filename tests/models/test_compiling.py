"""A forward pass is one graph for `torch.compile`, without breaks."""

import pytest
import torch

from .test_segmenter import model_named
from .tiny import SENTENCES, TOKENIZER, images


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "training"), [("bam+tsca", True), ("bam+tsca", False), ("rmsin", True), ("swin", True)]
)
def test_a_forward_pass_is_one_graph(swin, name, training):
    torch.compiler.reset()
    model = model_named(name, swin).train(training)
    given = images(2, 64, 64), *TOKENIZER(SENTENCES[:2])
    compiled = torch.compile(model, backend="eager", fullgraph=True, dynamic=False)  # broken, it is an error
    found = []
    for function in (compiled, model):
        torch.manual_seed(0)  # of dropout
        found.append(function(*given))
    torch.testing.assert_close(*found, rtol=0, atol=1e-5)
