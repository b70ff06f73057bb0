"""What the LightningModule does with a batch: loss, both protocols, clipping, its place in the run."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, nn
from torch.nn import functional as F

from sbanet.data.records import Batch, Record
from sbanet.errors import ConfigError
from sbanet.resizing import resize_mask
from sbanet.training.losses import BinaryCrossEntropy, WeightedSum
from sbanet.training.module import CHECKPOINT_SCHEMA, ReferringSegmentation
from sbanet.training.optimizers import GroupRule, OptimizerSetup
from sbanet.training.schedules import cosine

RECORD = Record(sample_id="0", image="0", instance=0, expression="ship", split="val", category="ship")


class Answering(nn.Module):
    """A model that answers one learned logit a pixel, whatever it is asked."""

    def __init__(self, logits: Tensor, channels_last: bool = False) -> None:
        super().__init__()
        self.channels_last = channels_last
        self.logits = nn.Parameter(logits)
        self.backbone = SimpleNamespace(mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
        self.text_encoder = SimpleNamespace(files={"config.json": "{}"})

    def forward(self, image: Tensor, token_ids: Tensor, token_mask: Tensor, sentences: object = None) -> Tensor:
        return self.logits


def batch_of(target_BHW: Tensor, native: list[Tensor] | None = None) -> Batch:
    count, height, width = target_BHW.shape
    return Batch(
        image=torch.zeros(count, 3, height, width),
        token_ids=torch.ones(count, 1, dtype=torch.long),
        token_mask=torch.ones(count, 1, dtype=torch.bool),
        target=target_BHW,
        records=[RECORD] * count,
        native_targets=native or [],
    )


def task_of(logits: Tensor, **options: Any) -> ReferringSegmentation:
    optim = OptimizerSetup(
        lr=1e-2,
        weight_decay=0.0,
        optimizer=partial(torch.optim.AdamW, fused=True),
        schedule=cosine,
        groups={"rest": GroupRule(pattern=".*")},
        no_decay="^$",
        warmup=0.0,
    )
    loss = WeightedSum(terms={"bce": BinaryCrossEntropy()}, weights={"bce": 1.0})
    task = ReferringSegmentation(
        **{"model": Answering(logits), "optim": optim, **options},
        loss=loss,
        seed=3,
        config={"seed": 3},
    )
    logged: dict[str, Any] = {}
    task.logged = logged  # type: ignore[assignment]
    task.log = lambda name, value, **_: logged.update({name: value})  # type: ignore[method-assign, assignment]
    task.log_dict = lambda values, **_: logged.update(values)  # type: ignore[method-assign, assignment]
    task.trainer = SimpleNamespace(  # type: ignore[assignment]
        testing=True, callback_metrics={"val/mIoU": torch.tensor(0.5)}, global_step=0, log_every_n_steps=10
    )
    return task


@pytest.fixture
def masks() -> Tensor:
    return torch.rand(2, 8, 8, generator=torch.Generator().manual_seed(0)) > 0.5


def test_the_network_protocol_compares_at_the_networks_size(masks: Tensor) -> None:
    logits = torch.randn(2, 8, 8, generator=torch.Generator().manual_seed(1))
    output = task_of(logits).test_step(batch_of(masks), 0)
    prediction = (logits > 0).numpy()
    np.testing.assert_array_equal(output.intersections["network"], (prediction & masks.numpy()).sum((1, 2)))
    np.testing.assert_array_equal(output.unions["network"], (prediction | masks.numpy()).sum((1, 2)))
    # without masks of another size both protocols are one
    assert output.intersections["native"] is output.intersections["network"]
    torch.testing.assert_close(output.loss.detach(), F.binary_cross_entropy_with_logits(logits, masks.float()))


@pytest.mark.parametrize("batch_size", [1, 7, 200])
def test_the_network_protocol_is_the_official_evaluation(sbanet_goldens: Path, batch_size: int) -> None:
    arrays = np.load(sbanet_goldens / "metrics.npz", allow_pickle=False)
    official = json.loads((sbanet_goldens / "metrics.json").read_text())
    pixels = int(np.prod(arrays["shape"][1:]))
    predictions, targets = (
        torch.from_numpy(np.unpackbits(arrays[key], axis=1)[:, :pixels].reshape(arrays["shape"]).astype(bool))
        for key in ("pred", "gt")
    )
    background = torch.randn(predictions.shape, generator=torch.Generator().manual_seed(5))
    # where nothing is predicted, the two channels tie as often as not: background wins
    lead = torch.where(predictions, 0.5, torch.where(background > 0, 0.0, -0.5))
    channels = torch.stack([background, background + lead], dim=1)
    assert torch.equal(channels.argmax(1).bool(), predictions)
    task, outputs = task_of(torch.zeros(1)), []
    for pair, target in zip(channels.split(batch_size), targets.split(batch_size), strict=True):
        task.model.logits = nn.Parameter(pair)
        outputs.append(task.test_step(batch_of(target), 0))
    np.testing.assert_array_equal(torch.cat([output.intersections["network"] for output in outputs]), arrays["I"])
    np.testing.assert_array_equal(torch.cat([output.unions["network"] for output in outputs]), arrays["U"])
    task.on_test_epoch_end()
    expected = {name: official["rmsin_test"][name] for name in ("mIoU", "oIoU")}
    expected |= {f"Pr@{x}": percent / 100 for x, percent in official["rmsin_test"]["precision"].items()}
    expected |= {"count": 200, "empty": official["kinds"]["both_empty"]}
    found = {name: float(task.logged[f"test/{name}"]) for name in expected}
    assert found == pytest.approx(expected, abs=1e-15)


def test_the_native_protocol_resizes_the_logits(masks: Tensor) -> None:
    logits = torch.randn(2, 8, 8, generator=torch.Generator().manual_seed(1))
    native = [torch.rand(13, 21) > 0.5, torch.rand(5, 4) > 0.5]
    output = task_of(logits).test_step(batch_of(masks, native), 0)
    for row, target in enumerate(native):
        resized = F.interpolate(logits[None, row : row + 1], size=target.shape, mode="bilinear")[0, 0] > 0
        assert torch.equal(output.predictions[row], resized)
        assert output.intersections["native"][row] == (resized & target).sum()
        assert output.unions["native"][row] == (resized | target).sum()
    assert output.unions["native"].dtype == torch.int64


def slow_pixel(logits: np.ndarray, row: float, column: float) -> float:
    """Between the four pixels around a place, each by how near it is; at the edge the edge's own."""
    value = 0.0
    for y in (math.floor(row), math.floor(row) + 1):
        for x in (math.floor(column), math.floor(column) + 1):
            weight = (1 - abs(row - y)) * (1 - abs(column - x))
            value += weight * float(logits[min(max(y, 0), len(logits) - 1), min(max(x, 0), len(logits[0]) - 1)])
    return value


def slow_counts(logits: np.ndarray, target: np.ndarray) -> tuple[int, int]:
    """Pixels in both and in either, counted one by one where the middle of each falls into the logits."""
    (height, width), both, either = target.shape, 0, 0
    for y in range(height):
        for x in range(width):
            place = ((y + 0.5) * len(logits) / height - 0.5, (x + 0.5) * len(logits[0]) / width - 0.5)
            predicted = slow_pixel(logits, *place) > 0
            both += predicted and target[y, x]
            either += predicted or target[y, x]
    return both, either


def test_the_protocols_count_the_same_predictions_each_at_its_own_size() -> None:
    generator = torch.Generator().manual_seed(7)
    logits = torch.randn(3, 9, 9, generator=generator)
    native = [torch.rand(size, generator=generator) > 0.6 for size in ((23, 14), (5, 31), (9, 9))]
    small = [torch.from_numpy(resize_mask(mask.numpy(), 9)) for mask in native]
    output = task_of(logits).test_step(batch_of(torch.stack(small), native), 0)
    for protocol, targets in (("network", small), ("native", native)):
        expected = [slow_counts(one.numpy(), target.numpy()) for one, target in zip(logits, targets, strict=True)]
        found = zip(output.intersections[protocol].tolist(), output.unions[protocol].tolist(), strict=True)
        assert list(found) == expected, protocol
    differ = output.unions["network"] != output.unions["native"]
    assert differ.tolist() == [True, True, False]  # the last image has the network's size


def test_both_protocols_are_logged_under_their_names(masks: Tensor) -> None:
    logits = torch.where(masks, 1.0, -1.0)
    task = task_of(logits)
    task.test_step(batch_of(masks, [masks[0, :4], masks[1, :4]]), 0)
    task.on_test_epoch_end()
    assert task.logged["test/mIoU"] == 1
    assert task.logged["test_native/mIoU"] < 1
    assert task.logged["test_native/count"] == 2
    task.test_step(batch_of(masks), 0)
    task.on_test_epoch_end()
    assert task.logged["test/count"] == 2  # of this epoch alone


def test_validation_is_logged_apart(masks: Tensor) -> None:
    task = task_of(torch.zeros(2, 8, 8))
    task.trainer.testing = False  # type: ignore[misc]
    task.validation_step(batch_of(masks), 0)
    task.on_validation_epoch_end()
    assert {"val/loss", "val/mIoU", "val_native/oIoU"} <= task.logged.keys()
    assert not any(name.startswith("test") for name in task.logged)


def test_two_channels_learn_as_their_difference(masks: Tensor) -> None:
    pair = torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(2))
    two, one = task_of(pair), task_of(pair[:, 1] - pair[:, 0])
    two_out, one_out = (task.test_step(batch_of(masks), 0) for task in (two, one))
    assert torch.equal(two_out.logits, one_out.logits)
    expected = F.cross_entropy(pair, masks.long())  # a softmax over two channels
    for task in (two, one):
        task.optimizers = lambda: SimpleNamespace(param_groups=[{"lr": 0.1}, {"lr": 0.5}])  # type: ignore[method-assign, assignment]
        torch.testing.assert_close(task.training_step(batch_of(masks), 0), expected)
        torch.testing.assert_close(task.logged["train/loss"], expected)
        assert task.logged["optim/lr"] == 0.5


@pytest.mark.parametrize(("step", "logged"), [(8, False), (9, True), (10, False), (19, True)])
def test_the_loss_that_is_logged_is_that_of_all_ranks(masks: Tensor, step: int, logged: bool) -> None:
    task = task_of(torch.randn(2, 8, 8, generator=torch.Generator().manual_seed(2)))
    task.optimizers = lambda: SimpleNamespace(param_groups=[{"lr": 0.1}])  # type: ignore[method-assign, assignment]
    asked = []

    def reduce(values: Tensor, reduce_op: str) -> Tensor:
        asked.append(reduce_op)
        return values + 1  # the other rank is worse

    task.trainer.global_step = step  # type: ignore[misc]
    task.trainer.strategy = SimpleNamespace(reduce=reduce)  # type: ignore[misc, assignment]
    own = task.training_step(batch_of(masks), 0)
    assert asked == ["mean"] * logged
    assert task.logged["train/loss"] == task.logged["train/bce"] == own.detach() + logged


def test_randomness_is_a_function_of_the_place_in_the_run() -> None:
    def draw(seed: int = 3, epoch: int = 0, batch: int = 0, rank: int = 0) -> float:
        task = task_of(torch.zeros(1, 2, 2))
        task.seed = seed
        task.trainer = SimpleNamespace(current_epoch=epoch, global_rank=rank)  # type: ignore[assignment]
        torch.rand(batch + 1)  # what was drawn before does not matter
        task.on_train_batch_start(batch_of(torch.zeros(1, 2, 2, dtype=torch.bool)), batch)
        return torch.rand(()).item()

    with torch.random.fork_rng():
        values = [draw(), draw(seed=4), draw(epoch=1), draw(batch=1), draw(rank=1), draw(epoch=1, batch=1)]
        assert draw() == values[0]
    assert len(set(values)) == len(values)


def test_a_checkpoint_says_what_its_model_is() -> None:
    checkpoint: dict[str, Any] = {}
    task_of(torch.zeros(1, 2, 2)).on_save_checkpoint(checkpoint)
    about = checkpoint["sbanet"]
    assert (about["schema"], about["config"]) == (CHECKPOINT_SCHEMA, {"seed": 3})
    assert about["normalisation"] == {"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]}
    assert about["text_encoder_files"] == {"config.json": "{}"}
    assert about["metrics"] == {"val/mIoU": 0.5}


def test_the_model_computes_channels_last_if_it_says_so() -> None:
    weights = torch.randn(2, 3, 4, 4)
    for channels_last, layout in ((True, torch.channels_last), (False, torch.contiguous_format)):
        task = task_of(weights, model=Answering(weights, channels_last))
        assert task.model.logits.is_contiguous(memory_format=layout)


def clipped(precision: Any, value: float | None, algorithm: str | None = None, fused: bool = True) -> Tensor:
    """The gradient, (3, 4, 0) before clipping."""
    task = task_of(torch.zeros(1, 1, 3))
    task.trainer = L.Trainer(  # type: ignore[assignment]
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_model_summary=False, **precision
    )
    task.model.logits.grad = torch.tensor([[[3.0, 4.0, 0.0]]])
    optimizer = torch.optim.AdamW(task.model.parameters(), fused=fused)
    task.configure_gradient_clipping(optimizer, value, algorithm)
    return task.model.logits.grad[0, 0]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_gradients_are_clipped_with_a_fused_optimizer(precision: Any) -> None:
    torch.testing.assert_close(clipped({"precision": precision}, 1.0), torch.tensor([0.6, 0.8, 0.0]))
    torch.testing.assert_close(clipped({"precision": precision}, 10.0), torch.tensor([3.0, 4.0, 0.0]))
    torch.testing.assert_close(clipped({"precision": precision}, None), torch.tensor([3.0, 4.0, 0.0]))
    torch.testing.assert_close(clipped({"precision": precision}, 3.5, "value"), torch.tensor([3.0, 3.5, 0.0]))


def test_scaled_gradients_are_clipped_only_where_they_are_unscaled_before() -> None:
    scaled = {"plugins": [MixedPrecision("16-mixed", "cpu")]}
    torch.testing.assert_close(clipped(scaled, 1.0, fused=False), torch.tensor([0.6, 0.8, 0.0]))
    with pytest.raises(ConfigError, match="fused=false"):
        clipped(scaled, 1.0, fused=True)


def test_what_the_rules_freeze_does_not_learn_from_the_start() -> None:
    fixed = OptimizerSetup(
        lr=1e-2,
        weight_decay=0.0,
        optimizer=torch.optim.AdamW,
        schedule=cosine,
        groups={"all": GroupRule(pattern=".*", learns=False)},
        no_decay="^$",
        warmup=0.0,
    )
    assert task_of(torch.zeros(1, 2, 2)).model.logits.requires_grad
    assert not task_of(torch.zeros(1, 2, 2), optim=fixed).model.logits.requires_grad
