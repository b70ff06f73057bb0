"""Losses against numbers computed by hand and against torch's own of two channels."""

from __future__ import annotations

import math

import pytest
import torch
from hydra.utils import instantiate
from torch import Tensor, nn

from sbanet.config import compose
from sbanet.errors import ConfigError
from sbanet.models.nodes import foreground_logits
from sbanet.training.losses import BinaryCrossEntropy, Dice, WeightedSum

LOSSES = {
    "bce": BinaryCrossEntropy(),
    "weighted bce": BinaryCrossEntropy(foreground=1.1, background=0.9),
    "dice": Dice(),
    "dice of both classes": Dice(smooth=1e-6, classes="both"),
    "sum": WeightedSum(terms={"bce": BinaryCrossEntropy(), "dice": Dice()}, weights={"bce": 0.3, "dice": 2.0}),
}
"""Whose value of a batch is the mean of its samples' own."""
OVER_THE_BATCH = {
    "bce over the batch": BinaryCrossEntropy(foreground=1.1, background=0.9, mean_over="batch"),
    "summed dice": Dice(smooth=1e-6, classes="both", reduction="sum"),
}
ALL = LOSSES | OVER_THE_BATCH


def value(loss: nn.Module, logits: Tensor, target: Tensor) -> Tensor:
    result = loss(logits, target)
    return result["loss"] if isinstance(result, dict) else result


def batch(count: int = 3, side: int = 5) -> tuple[Tensor, Tensor]:
    """Samples of very different referents: none, some, all of the pixels."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(count, side, side, generator=generator, dtype=torch.float64)
    target = torch.rand(count, side, side, generator=generator) > torch.linspace(1, 0, count)[:, None, None]
    return logits, target


def test_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[[0.0, math.log(3)]]], dtype=torch.float64)  # probabilities 1/2 and 3/4
    target = torch.tensor([[[True, False]]])
    plain = (math.log(2) + math.log(4)) / 2
    assert BinaryCrossEntropy()(logits, target).item() == pytest.approx(plain, rel=1e-12)
    weighted = (3 * math.log(2) + 1 * math.log(4)) / (3 + 1)
    assert BinaryCrossEntropy(foreground=3, background=1)(logits, target).item() == pytest.approx(weighted, rel=1e-12)


def test_equal_weights_change_nothing() -> None:
    logits, target = batch()
    equal = BinaryCrossEntropy(foreground=7.0, background=7.0)(logits, target)
    torch.testing.assert_close(equal, BinaryCrossEntropy()(logits, target))
    torch.testing.assert_close(equal, nn.functional.binary_cross_entropy_with_logits(logits, target.double()))


def test_dice_by_hand() -> None:
    logits = torch.tensor([[[0.0, math.log(3)]]], dtype=torch.float64)
    target = torch.tensor([[[True, False]]])
    # overlap 1/2; total 1/2 + 3/4 + 1
    assert Dice(smooth=0.0)(logits, target).item() == pytest.approx(1 - 1 / 2.25, rel=1e-12)
    assert Dice(smooth=1.0)(logits, target).item() == pytest.approx(1 - 2 / 3.25, rel=1e-12)


def test_dice_of_a_perfect_and_of_a_wrong_mask() -> None:
    target = torch.zeros(1, 4, 4, dtype=torch.bool)
    target[:, :2] = True
    right = torch.where(target, 100.0, -100.0)
    assert Dice(smooth=0.0)(right, target).item() == pytest.approx(0, abs=1e-6)
    assert Dice(smooth=0.0)(-right, target).item() == pytest.approx(1, abs=1e-6)


def test_dice_of_an_empty_target_is_finite() -> None:
    nothing = torch.zeros(1, 4, 4, dtype=torch.bool)
    assert Dice(smooth=1.0)(torch.full((1, 4, 4), -100.0), nothing).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_batch_is_the_mean_of_its_samples(loss: nn.Module) -> None:
    logits, target = batch()
    singles = [value(loss, logits[i : i + 1], target[i : i + 1]) for i in range(len(logits))]
    torch.testing.assert_close(value(loss, logits, target), torch.stack(singles).mean())


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_repeated_batch_costs_the_same(loss: nn.Module) -> None:
    logits, target = batch()
    twice = value(loss, torch.cat([logits, logits]), torch.cat([target, target]))
    torch.testing.assert_close(twice, value(loss, logits, target))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("loss", ALL.values(), ids=ALL)
def test_gradients_are_finite_at_extreme_logits(loss: nn.Module, dtype: torch.dtype) -> None:
    logits = torch.tensor([-1e4, -100.0, 0.0, 100.0, 1e4]).repeat(2, 2, 1).to(dtype).requires_grad_()
    for target in (torch.zeros(2, 2, 5, dtype=torch.bool), torch.ones(2, 2, 5, dtype=torch.bool)):
        result = value(loss, logits, target)
        (gradient,) = torch.autograd.grad(result, logits)
        assert result.isfinite()
        assert gradient.isfinite().all()
        assert gradient.abs().sum() > 0


@pytest.mark.parametrize("loss", ALL.values(), ids=ALL)
def test_gradients_by_finite_differences(loss: nn.Module) -> None:
    logits, target = batch(side=2)
    assert torch.autograd.gradcheck(lambda x: value(loss, x, target), logits.requires_grad_())


def test_the_sum_weighs_its_terms_and_reports_them() -> None:
    logits, target = batch()
    values = LOSSES["sum"](logits, target)
    assert set(values) == {"loss", "bce", "dice"}
    torch.testing.assert_close(values["bce"], LOSSES["bce"](logits, target))
    torch.testing.assert_close(values["dice"], LOSSES["dice"](logits, target))
    torch.testing.assert_close(values["loss"], 0.3 * values["bce"] + 2.0 * values["dice"])


def test_names_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\['bce'\] and weights \['bce', 'dice'\] differ"):
        WeightedSum(terms={"bce": BinaryCrossEntropy()}, weights={"bce": 1.0, "dice": 1.0})
    with pytest.raises(ValueError, match="differ"):
        WeightedSum(terms={"bce": BinaryCrossEntropy(), "dice": Dice()}, weights={"bce": 1.0})


CHOICES = [(BinaryCrossEntropy, "mean_over"), (Dice, "classes"), (Dice, "reduction")]


@pytest.mark.parametrize(("loss", "choice"), CHOICES)
def test_a_choice_that_there_is_not(loss: type[nn.Module], choice: str) -> None:
    with pytest.raises(ConfigError, match=f"{choice}=pixel: expected"):
        loss(**{choice: "pixel"})


WEIGHTS = torch.tensor([0.9, 1.1], dtype=torch.float64)
"""Of background and referent."""


def two_channels(logits: Tensor) -> Tensor:
    """(B, 2, H, W) whose difference is the one logit."""
    background = torch.randn(logits.shape, generator=torch.Generator().manual_seed(1), dtype=logits.dtype)
    return torch.stack([background, background + logits], dim=1)


def official_dice(channels: Tensor, target: Tensor) -> Tensor:
    """(B, 2) of softmax probabilities, written out."""
    probabilities = channels.softmax(1)
    masks = torch.stack([~target, target], dim=1).to(channels)
    overlaps, totals = (probabilities * masks).sum((2, 3)), (probabilities + masks).sum((2, 3))
    return 1 - (2 * overlaps + 1e-6) / (totals + 1e-6)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_cross_entropy_over_the_batch_is_that_of_two_weighted_channels(count: int) -> None:
    logits, target = batch(count)
    channels = two_channels(logits)
    expected = nn.functional.cross_entropy(channels, target.long(), weight=WEIGHTS)
    loss = OVER_THE_BATCH["bce over the batch"](foreground_logits(channels), target)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)


def test_the_means_over_samples_and_over_the_batch_differ() -> None:
    logits = torch.tensor([[[0.0, 0.0]], [[0.0, math.log(3)]]], dtype=torch.float64)
    target = torch.tensor([[[True, True]], [[True, False]]])
    by_hand = (3 * 3 * math.log(2) + math.log(4)) / (3 * 3 + 1)
    over_batch = BinaryCrossEntropy(foreground=3, background=1, mean_over="batch")(logits, target)
    assert over_batch.item() == pytest.approx(by_hand, rel=1e-12)
    over_samples = BinaryCrossEntropy(foreground=3, background=1)(logits, target)
    assert over_samples.item() == pytest.approx((math.log(2) + (3 * math.log(2) + math.log(4)) / 4) / 2, rel=1e-12)


def test_dice_of_both_classes_by_hand() -> None:
    logits = torch.tensor([[[0.0, math.log(3)]]], dtype=torch.float64)  # probabilities 1/2 and 3/4
    target = torch.tensor([[[True, False]]])
    # the background: overlap 1/4; total 1/2 + 1/4 + 1
    terms = [1 - 1 / 2.25, 1 - 0.5 / 1.75]
    assert Dice(smooth=0.0, classes="both")(logits, target).item() == pytest.approx(sum(terms) / 2, rel=1e-12)
    summed = Dice(smooth=0.0, classes="both", reduction="sum")
    assert summed(logits, target).item() == pytest.approx(sum(terms), rel=1e-12)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_dice_of_both_classes_is_that_of_two_channels(count: int) -> None:
    logits, target = batch(count)
    terms = official_dice(two_channels(logits), target)
    torch.testing.assert_close(OVER_THE_BATCH["summed dice"](logits, target), terms.sum(), rtol=1e-12, atol=0)
    torch.testing.assert_close(LOSSES["dice of both classes"](logits, target), terms.sum() / (2 * count))


@pytest.mark.parametrize("option", ["weighted_ce", "ce_dice"])
def test_the_losses_of_the_baselines(option: str) -> None:
    logits, target = batch(2)
    channels = two_channels(logits)
    loss = instantiate(compose("train", [f"loss={option}"]).loss)(foreground_logits(channels), target)
    entropy = nn.functional.cross_entropy(channels, target.long(), weight=WEIGHTS)
    dice = official_dice(channels, target).sum()
    expected = {"weighted_ce": entropy, "ce_dice": 0.9 * entropy + 0.1 * dice}[option]
    torch.testing.assert_close(loss["loss"], expected, rtol=1e-12, atol=0)


def test_a_mean_of_fourfold_weight_is_the_sum_over_two_samples_a_device() -> None:
    logits, target = batch(8)
    summed, mean = OVER_THE_BATCH["summed dice"], LOSSES["dice of both classes"]
    devices = [summed(*pair) for pair in zip(logits.split(2), target.split(2), strict=True)]
    torch.testing.assert_close(4 * mean(logits, target), torch.stack(devices).mean())
