"""Resizing as matrix products gives the numbers of torch's own."""

import pytest
import torch
import torch.nn.functional as F

from sbanet.models.resize import logits_at, resize_bilinear, resize_logits, resize_to_grid

from .tiny import noise

SIZES = [(1, 1), (1, 6), (2, 3), (3, 2), (5, 7), (8, 8), (13, 4), (16, 16), (17, 24), (33, 61)]
LAYOUTS = {"channels first": torch.contiguous_format, "channels last": torch.channels_last}


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("source", SIZES)
def test_the_numbers_and_gradients_of_interpolate(source, channels, layout, align_corners):
    features = noise(2, channels, *source).to(memory_format=LAYOUTS[layout])
    ours, theirs = features.clone().requires_grad_(), features.clone().requires_grad_()
    for size in SIZES:
        weights = noise(2, channels, *size, seed=5)
        resized = resize_bilinear(ours, size, align_corners=align_corners)
        expected = F.interpolate(theirs, size, mode="bilinear", align_corners=align_corners)
        torch.testing.assert_close(resized, expected, rtol=0, atol=1e-12)
        ours.grad = theirs.grad = None
        (resized * weights).sum().backward()
        (expected * weights).sum().backward()
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_dtype_and_layout_are_kept(dtype, layout):
    features = noise(2, 4, 6, 5, dtype=dtype).contiguous(memory_format=layout)
    resized = resize_bilinear(features, (12, 9))
    assert resized.dtype == dtype
    assert resized.is_contiguous(memory_format=layout)


def test_the_same_size_is_no_work():
    features = noise(1, 2, 5, 7)
    assert resize_bilinear(features, (5, 7), align_corners=True) is features
    assert resize_to_grid(features, (5, 7)) is features


def test_training_after_prediction():
    """What inference mode leaves in a cache must not reach a backward pass."""
    features = noise(1, 2, 19, 23).requires_grad_()
    with torch.inference_mode():
        resize_bilinear(features, (21, 29))
    resize_bilinear(features, (21, 29)).sum().backward()
    assert features.grad.isfinite().all()


def test_numbers_after_shapes_alone():
    """What a dry run on the meta device leaves in a cache must not reach real tensors."""
    with torch.device("meta"):
        assert resize_bilinear(torch.zeros(1, 2, 18, 22), (20, 28)).shape == (1, 2, 20, 28)
    features = noise(1, 2, 18, 22)
    expected = F.interpolate(features, (20, 28), mode="bilinear")
    torch.testing.assert_close(resize_bilinear(features, (20, 28)), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 5, 7), (2, 2, 5, 7)])
@pytest.mark.parametrize("align_corners", [False, True])
def test_logits_of_one_or_two_channels(shape, align_corners):
    logits = noise(*shape)
    expected = F.interpolate(
        logits.reshape(2, -1, 5, 7), (20, 27), mode="bilinear", align_corners=align_corners
    ).reshape(*shape[:-2], 20, 27)
    resized = resize_logits(logits, (20, 27), align_corners=align_corners)
    torch.testing.assert_close(resized, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [(1, 1), (24, 24), (80, 50), (37, 91), (301, 203)])
@torch.inference_mode()
def test_logits_at_the_size_of_an_image(size):
    logits = noise(24, 24, dtype=torch.float32)
    torch.testing.assert_close(logits_at(logits, size), resize_logits(logits[None], size)[0], rtol=0, atol=1e-4)


def test_logits_are_precise_under_autocast():
    logits = noise(1, 4, 4, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        resized = resize_logits(logits, (9, 9))
        resized_single = resize_logits(logits.float(), (9, 9))
    assert resized.dtype == torch.float32
    assert torch.equal(resized, resize_logits(logits.float(), (9, 9)))
    assert torch.equal(resized, resized_single)


@pytest.mark.parametrize(("source", "size"), [((8, 8), (4, 4)), ((7, 9), (3, 4)), ((5, 5), (5, 1)), ((3, 3), (1, 1))])
def test_a_grid_is_reached_by_averaging_where_it_is_coarser(source, size):
    features = noise(2, 3, *source)
    expected = F.adaptive_avg_pool2d(features, size)
    torch.testing.assert_close(resize_to_grid(features, size), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("source", "size"), [((4, 4), (8, 8)), ((2, 5), (3, 4)), ((1, 1), (2, 7))])
def test_a_grid_is_reached_bilinearly_where_it_is_finer(source, size):
    features = noise(2, 3, *source)
    expected = F.interpolate(features, size, mode="bilinear")
    torch.testing.assert_close(resize_to_grid(features, size), expected, rtol=0, atol=1e-12)
