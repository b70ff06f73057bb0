"""RMSIN's decoder and its adaptive rotated convolution."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from sbanet.models.decoders.rotated import AdaptiveRotatedConv, RotatedDecoder, rotation
from sbanet.models.decoders.topdown import TopDownDecoder
from tests.models import by_hand
from tests.models.tiny import CHANNELS, ROTATED, noise, stir

SIZES = [(17, 25), (9, 13), (5, 7), (3, 4)]


def fused_maps(dtype=torch.float64):
    return [noise(2, count, *size, dtype=dtype) for count, size in zip(CHANNELS, SIZES, strict=True)]


def convolution(channels=6, num_kernels=1, **options):
    arguments = {"max_angle": 40.0, "dropout": 0.2, **options}
    return AdaptiveRotatedConv(channels, num_kernels=num_kernels, **arguments)


def turned(kernel, angle):
    """One 3x3 kernel, each new tap a weighted sum of the old ones."""
    result = torch.zeros_like(kernel)
    for v in (-1, 0, 1):
        for u in (-1, 0, 1):
            x = min(max(u * math.cos(angle) - v * math.sin(angle), -1), 1)
            y = min(max(u * math.sin(angle) + v * math.cos(angle), -1), 1)
            for old_v in (-1, 0, 1):
                for old_u in (-1, 0, 1):
                    weight = max(0, 1 - abs(x - old_u)) * max(0, 1 - abs(y - old_v))
                    result[..., v + 1, u + 1] += weight * kernel[..., old_v + 1, old_u + 1]
    return result


def routing(module, features_CHW):
    """The weights and the angles, in degrees, of one sample."""
    channels = len(features_CHW)
    described = F.conv2d(features_CHW[None], module.depthwise.weight, padding=1, groups=channels)[0]
    centred = described - described.mean(0)
    described = centred / (centred.square().mean(0) + 1e-5).sqrt()
    described = described * module.norm.weight[:, None, None] + module.norm.bias[:, None, None]
    pooled = described.clamp(min=0).mean((1, 2))
    scores = module.scale.weight @ pooled + module.scale.bias
    turns = module.angle.weight @ pooled
    return 1 / (1 + (-scores).exp()), math.degrees(module.max_angle) * turns / (1 + turns.abs())


def rotated_convolution(module, features):
    outputs = []
    for sample in features:
        scales, angles = routing(module.routing, sample)
        kernels = module.weight.reshape(module.num_kernels, -1, *module.weight.shape[1:])
        kernel = sum(
            scale * turned(kernel, math.radians(angle))
            for scale, angle, kernel in zip(scales.tolist(), angles.tolist(), kernels, strict=True)
        )
        outputs.append(F.conv2d(sample[None], kernel, padding=1)[0])
    return torch.stack(outputs)


def test_the_top_of_a_kernel_turns_to_the_left():
    top = torch.tensor([[0, 1, 0], [0, 0, 0], [0, 0, 0]], dtype=torch.float64)
    turned_top = (rotation(torch.tensor(math.radians(40), dtype=torch.float64)) @ top.flatten()).reshape(3, 3)
    expected = torch.tensor([[0.8767, 0.2736, 0], [0.1504, 0, 0], [0, 0, 0]], dtype=torch.float64)
    torch.testing.assert_close(turned_top, expected, rtol=0, atol=5e-5)


@pytest.mark.parametrize("degrees", [0, 40, -40, 13.7, -0.4, 45, 90, -90, 137, 180])
def test_the_rotation_samples_a_turned_grid(degrees):
    angle, kernels = math.radians(degrees), noise(4, 5, 3, 3)
    turn = rotation(torch.tensor([angle], dtype=torch.float64))[0]
    result = (kernels.flatten(2) @ turn.T).unflatten(2, (3, 3))
    cosine, sine = math.cos(angle), math.sin(angle)
    affine = torch.tensor([[cosine, -sine, 0], [sine, cosine, 0]], dtype=torch.float64)
    grid = F.affine_grid(affine.expand(4, 2, 3), [4, 5, 3, 3], align_corners=True)
    sampled = F.grid_sample(kernels, grid, mode="bilinear", padding_mode="border", align_corners=True)
    torch.testing.assert_close(result, sampled, rtol=0, atol=1e-12)
    torch.testing.assert_close(result, turned(kernels, angle), rtol=0, atol=1e-12)


def test_quarter_turns_and_sums():
    quarter = rotation(torch.tensor(math.pi / 2, dtype=torch.float64))
    kernel = noise(3, 3)
    torch.testing.assert_close((quarter @ kernel.flatten()).reshape(3, 3), torch.rot90(kernel), rtol=0, atol=1e-12)
    assert torch.equal(rotation(torch.zeros(2, 1)), torch.eye(9).expand(2, 1, 9, 9))
    angles = torch.linspace(-3, 3, 50, dtype=torch.float64)
    torch.testing.assert_close(rotation(angles).sum(-1), torch.ones(50, 9, dtype=torch.float64), rtol=0, atol=1e-12)


def test_the_slope_of_the_rotation():
    angles = torch.linspace(-0.69, 0.7, 12, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(rotation, angles)


@pytest.mark.parametrize("num_kernels", [1, 3])
@pytest.mark.parametrize("size", [(5, 7), (1, 1), (1, 6)])
@torch.no_grad()
def test_the_convolution_against_the_formulas(size, num_kernels):
    # strong noise: the angles shall differ
    module = stir(convolution(num_kernels=num_kernels), 1.0).double().eval()
    features = noise(3, 6, *size)
    expected = rotated_convolution(module, features)
    torch.testing.assert_close(module(features), expected, rtol=0, atol=1e-10)
    last = features.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(module(last), expected, rtol=0, atol=1e-10)


@torch.no_grad()
def test_angles_have_both_signs_and_a_bound():
    module = stir(convolution(), 1.0).double().eval()
    features = noise(8, 6, 4, 4) + 5 * noise(8, 6, 1, 1)
    module.routing.angle.weight *= 100
    scales, angles = module.routing(features)
    assert angles.abs().amax() < math.radians(40)
    assert angles.abs().amax() > math.radians(38)
    assert angles.amin() < 0 < angles.amax()
    assert 0 < scales.amin() < scales.amax() < 1
    assert (scales.shape, angles.shape) == ((8, 1), (8, 1))


@pytest.mark.parametrize("name", ROTATED)
@torch.no_grad()
def test_the_decoder_against_the_formulas(name):
    decoder = stir(ROTATED[name](channels=CHANNELS)).double().eval()
    fused = fused_maps()
    features = fused[3]
    for level, skip in zip(decoder.levels, fused[2::-1], strict=True):
        features = F.interpolate(features, skip.shape[-2:], mode="bilinear", align_corners=decoder.align_corners)
        features = F.conv2d(torch.cat([features, skip], dim=1), level[0].weight, padding=1)
        features = rotated_convolution(level[3], by_hand.batch_norm(level[1], features).clamp(min=0))
        features = by_hand.batch_norm(level[4], features).clamp(min=0)
    expected = decoder.classifier(features)
    logits = decoder([scale.clone() for scale in fused])
    assert logits.shape == ((2, 2, 17, 25) if decoder.num_outputs == 2 else (2, 17, 25))
    torch.testing.assert_close(logits, expected if decoder.num_outputs == 2 else expected[:, 0], rtol=0, atol=1e-10)


def test_every_parameter_learns():
    for name in ROTATED:
        decoder = stir(ROTATED[name](channels=CHANNELS)).double()
        logits = decoder(fused_maps())
        (logits * noise(*logits.shape, seed=5)).sum().backward()
        assert all(parameter.grad.abs().amax() > 1e-9 for parameter in decoder.parameters())


def test_dropout_acts_in_training_alone_and_twice():
    module, features = stir(convolution(32, dropout=0.5), 1.0).double(), noise(1, 32, 4, 4)
    drawn = []
    module.routing.dropout.register_forward_hook(lambda _, __, output: drawn.append(output == 0))
    module(features)
    assert not torch.equal(*drawn)
    assert not torch.equal(module(features), module(features))
    module.eval()
    assert torch.equal(module(features), module(features))


def test_the_same_seed_gives_the_same_bits():
    decoder, gradients = stir(ROTATED["rotated-3-1-True"](channels=CHANNELS)), []
    torch.use_deterministic_algorithms(True)
    try:
        for _ in range(2):
            torch.manual_seed(3)
            decoder.zero_grad()
            decoder(fused_maps(torch.float32)).square().mean().backward()
            gradients.append([parameter.grad.clone() for parameter in decoder.parameters()])
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(one, two) for one, two in zip(*gradients, strict=True))


@torch.no_grad()
def test_kernels_turn_in_float32_under_autocast():
    module, features = stir(convolution(16), 0.3).eval(), noise(3, 16, 8, 9, dtype=torch.float32)
    exact, exact_angles = module(features), module.routing(features)[1]
    with torch.autocast("cpu", torch.bfloat16):
        scales, angles = module.routing(features)
        kernels, rough = module._kernels(scales, angles), module(features)
    assert scales.dtype == angles.dtype == kernels.dtype == torch.float32
    # the map that they are read from is bfloat16, what follows is not
    torch.testing.assert_close(angles, exact_angles, rtol=0, atol=2e-3)
    assert (rough.float() - exact).abs().mean() < 0.02 * exact.std()
    half = copy.deepcopy(module).bfloat16()
    assert half(features.bfloat16()).dtype == torch.bfloat16


def test_channels_last_memory_takes_its_weights():
    decoder = ROTATED["rotated-3-1-True"](channels=CHANNELS).eval()
    fused = fused_maps(torch.float32)
    expected = decoder(fused)
    decoder.to(memory_format=torch.channels_last)
    last = [scale.contiguous(memory_format=torch.channels_last) for scale in fused]
    torch.testing.assert_close(decoder(last), expected, rtol=0, atol=1e-5)


def test_the_initial_weights():
    torch.manual_seed(0)
    module = convolution(48, num_kernels=2)
    assert module.weight.shape == (96, 48, 3, 3)
    assert module.weight.std().item() == pytest.approx(math.sqrt(2 / (9 * 48)), rel=0.02)
    assert module.routing.depthwise.weight.std().item() == pytest.approx(0.02, rel=0.2)
    for layer in (module.routing.scale, module.routing.angle):
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.3)
    assert module.routing.scale.bias.any()
    assert module.routing.angle.bias is None


def test_the_names_of_the_weights():
    """A level has the names of the plain decoder; the rotated convolution adds what turns it."""
    plain = TopDownDecoder(channels=CHANNELS).state_dict()
    rotated = RotatedDecoder(channels=CHANNELS).state_dict()
    entries = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
    assert {key.removeprefix("levels.0.") for key in plain if key.startswith("levels.0.")} == {
        "0.weight",
        *(f"1.{entry}" for entry in entries),
        "3.weight",
        *(f"4.{entry}" for entry in entries),
    }
    routing = ("depthwise.weight", "norm.weight", "norm.bias", "scale.weight", "scale.bias", "angle.weight")
    assert rotated.keys() - plain.keys() == {
        f"levels.{level}.3.routing.{name}" for level in range(3) for name in routing
    }
    assert all(rotated[key].shape == tensor.shape for key, tensor in plain.items())


def test_the_size_of_the_original():
    """What RMSIN's weights with a Swin-B hold of this decoder."""
    decoder = RotatedDecoder(channels=[128, 256, 512, 1024], num_outputs=2)
    assert sum(parameter.numel() for parameter in decoder.parameters()) == 20_670_981
    assert len(decoder.state_dict()) == 56


def test_arguments_out_of_range():
    with pytest.raises(ValueError, match="num_outputs: got 3, expected 1 or 2"):
        RotatedDecoder(channels=CHANNELS, num_outputs=3)
    with pytest.raises(ValueError, match="num_kernels: got 0, expected 1 or more"):
        RotatedDecoder(channels=CHANNELS, num_kernels=0)
    for angle in (0, -40, 200):
        with pytest.raises(ValueError, match=f"max_angle: got {angle} degrees, expected above 0 and up to 180"):
            RotatedDecoder(channels=CHANNELS, max_angle=angle)
