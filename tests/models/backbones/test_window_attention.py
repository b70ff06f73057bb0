"""Swin's fused attention and its checkpointed stages: the numbers of the plain ones."""

import pytest
import torch

from sbanet.models.backbones import swin_block, window_attention
from sbanet.models.backbones.swin_block import SwinBlock
from sbanet.models.backbones.timm_backbone import TimmBackbone
from tests.models.backbones.stages import maps_of
from tests.models.tiny import images, stir

SMALL = {"embed_dim": 16, "depths": (2, 2, 2, 2), "num_heads": (1, 2, 2, 4), "window_size": 4}
NAME = "swin_tiny_patch4_window7_224"


def swin(**options):
    torch.manual_seed(0)
    return stir(TimmBackbone(name=NAME, **{"architecture": SMALL, **options}), 0.02).eval()


def maps_and_gradients(backbone, size=(72, 104), autocast=False):
    torch.manual_seed(1)  # of the stochastic depth
    image = images(2, *size).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        maps = maps_of(backbone, image)
    loss = sum((features.float() ** 2).sum() for features in maps)
    gradients = torch.autograd.grad(loss, [image, *backbone.parameters()])
    return [*maps, *gradients]


def distances(ones, others):
    """Of each tensor from another, by the other's largest number."""
    pairs = zip(ones, others, strict=True)
    return [float((one - other).detach().abs().max() / other.detach().abs().max()) for one, other in pairs]


@pytest.fixture
def many_parts(monkeypatch):
    monkeypatch.setattr(window_attention, "WEIGHTS_AT_ONCE", 3 * 4**4)  # of three windows of one head


@pytest.fixture
def attended(monkeypatch):
    """The maps that were not cut into windows."""
    maps = []

    def note(qkv, *others):
        maps.append(qkv.shape)
        return window_attention.attend_in_windows(qkv, *others)

    monkeypatch.setattr(swin_block, "attend_in_windows", note)
    return maps


@pytest.mark.parametrize("pad_before_shift", [False, True])
@pytest.mark.parametrize("qkv_bias", [False, True])
@pytest.mark.usefixtures("many_parts")
def test_windows_attend_as_timms_own(pad_before_shift, qkv_bias, attended):
    options = {"pad_before_shift": pad_before_shift, "architecture": {**SMALL, "qkv_bias": qkv_bias}}
    fused, plain = (swin(fused_attention=fused, **options) for fused in (True, False))
    exact = maps_and_gradients(plain)
    attended.clear()
    assert max(distances(maps_and_gradients(fused), exact)) < 1e-5
    assert [shape[1] for shape in attended] == [18 * 26] * 2 + [9 * 13] * 2 + [5 * 7] * 2 + [3 * 4] * 2
    with torch.no_grad():
        assert max(distances(maps_of(fused, images(1, 72, 104)), maps_of(plain, images(1, 72, 104)))) < 1e-5


def test_gradients_after_an_inference_at_the_same_size():
    backbone = swin()
    with torch.inference_mode():
        maps_of(backbone, images(1, 56, 88))  # no other test has maps of these sizes
    assert all(gradient.isfinite().all() for gradient in maps_and_gradients(backbone, size=(56, 88)))


@pytest.mark.usefixtures("many_parts")
def test_in_bfloat16_they_are_as_near_to_float32_as_timms_own():
    fused, plain = swin(), swin(fused_attention=False)
    exact = maps_and_gradients(plain)
    ours, theirs = (distances(maps_and_gradients(one, autocast=True), exact) for one in (fused, plain))
    assert sum(ours) < 1.1 * sum(theirs)


def test_weights_that_are_dropped_stay_timms_own():
    backbone = TimmBackbone(name=NAME, architecture={**SMALL, "attn_drop_rate": 0.1})
    assert not any(module.fused for module in backbone.modules() if isinstance(module, SwinBlock))


def test_checkpointed_stages_have_the_same_gradients():
    kept, recomputed = swin(drop_path=0.5).train(), swin(drop_path=0.5, checkpoint_stages=[0, 2]).train()
    assert [stage[0].grad_checkpointing for stage in recomputed.stages] == [True, False, True, False]
    for one, other in zip(maps_and_gradients(recomputed), maps_and_gradients(kept), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def kept_for_backward(backbone):
    """Bytes."""
    kept = {}

    def note(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        maps_of(backbone, images(1, 128, 128).requires_grad_())
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def test_less_is_kept_for_the_backward_pass():
    options = {"architecture": {**SMALL, "window_size": 8}}
    everything = kept_for_backward(swin(fused_attention=False, **options))
    assert kept_for_backward(swin(**options)) < 0.95 * everything
    assert kept_for_backward(swin(checkpoint_stages=[0, 1, 2, 3], **options)) < 0.7 * everything


@pytest.mark.parametrize(
    ("name", "stage", "message"),
    [(NAME, 4, "4 is no stage; known: 0, 1, 2, 3"), ("resnet18", 0, "timm cannot checkpoint the stages of resnet18")],
)
def test_stages_that_cannot_be_checkpointed(name, stage, message):
    with pytest.raises(ValueError, match=message):
        TimmBackbone(name=name, checkpoint_stages=[stage])
