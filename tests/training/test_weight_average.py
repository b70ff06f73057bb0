"""The average of the weights: what it is, where it is used, and that a run goes on with both."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader

from sbanet.config import check, compose
from sbanet.errors import ConfigError
from sbanet.models.segmenter import ReferringSegmenter
from sbanet.training.module import ReferringSegmentation
from sbanet.training.weight_average import WeightAverage
from tests.tiny_run import Train

pytestmark = pytest.mark.usefixtures("process_settings")

EMA = ("callbacks=[default,ema]", "callbacks.progress=null")
HEAD = "model.decoder.classifier.weight"
State = dict[str, torch.Tensor]


class Toy(L.LightningModule):
    """BatchNorm, a frozen layer and a trained one; notes the state that each step leaves and each scoring sees."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Linear(3, 3).requires_grad_(False)
        self.norm = nn.BatchNorm1d(3)
        self.last = nn.Linear(3, 1)
        self.left: list[State] = []
        self.scored: dict[str, list[State]] = {"val": [], "test": []}

    def state(self) -> State:
        return {name: value.clone() for name, value in self.state_dict().items()}

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.last(self.norm(self.frozen(batch))).square().mean()

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        return self(batch)

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        self.log("val/loss", self(batch))
        self.scored["val"].append(self.state())

    def test_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        self.scored["test"].append(self.state())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD([p for p in self.parameters() if p.requires_grad], 0.1)


class NotedSteps(Callback):
    """The state after each optimiser step."""

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Toy, *_: Any) -> None:  # type: ignore[override]
        if trainer.global_step > len(pl_module.left):
            pl_module.left.append(pl_module.state())


def batches(count: int = 6) -> DataLoader[Any]:
    data = torch.randn(4 * count, 3, generator=torch.Generator().manual_seed(3))
    return DataLoader(data, batch_size=4)  # type: ignore[arg-type]


def toy_trainer(folder: Path, ema: WeightAverage, *more: Callback, **options: Any) -> L.Trainer:
    best = ModelCheckpoint(folder, "best", monitor="val/loss", save_last=True, enable_version_counter=False)
    return L.Trainer(
        accelerator="cpu", devices=1, logger=False, enable_progress_bar=False, enable_model_summary=False,
        num_sanity_val_steps=0, callbacks=[ema, NotedSteps(), best, *more], **{"max_epochs": 2} | options,
    )  # fmt: skip


def toy() -> Toy:
    torch.manual_seed(0)
    return Toy()


def averaged(states: list[State], decay: float, warmup: float) -> State:
    """The formula of the docstring, a step at a time."""
    average = states[0]
    for number, state in enumerate(states[1:], start=1):
        d = min(decay, (1 + number) / (warmup + number))
        average = {
            name: d * average[name] + (1 - d) * value if value.is_floating_point() else value
            for name, value in state.items()
        }
    return average


def same(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def read(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize(("decay", "warmup"), [(0.6, 1), (0.999, 10)])
def test_the_average_is_that_of_the_optimiser_steps(
    tmp_path: Path, decay: float, warmup: float, accumulate: int
) -> None:
    module = toy()
    frozen = module.frozen.weight.clone()
    ema = WeightAverage(decay, warmup)
    toy_trainer(tmp_path, ema, accumulate_grad_batches=accumulate).fit(module, batches(), batches(2))
    assert len(module.left) == 12 // accumulate
    expected = averaged(module.left, decay, warmup)
    torch.testing.assert_close(dict(module.state_dict()), expected, rtol=1e-5, atol=1e-7)
    assert not same(module.state(), module.left[-1])
    assert torch.equal(module.frozen.weight, frozen)
    assert module.norm.num_batches_tracked == 12


def test_the_average_is_scored_and_training_goes_on_without_it(tmp_path: Path) -> None:
    module = toy()
    toy_trainer(tmp_path, WeightAverage(0.9, 10)).fit(module, batches(), batches(2))
    plain = toy()
    without = L.Trainer(
        accelerator="cpu", devices=1, logger=False, enable_progress_bar=False, enable_checkpointing=False,
        enable_model_summary=False, num_sanity_val_steps=0, max_epochs=2, callbacks=[NotedSteps()],
    )  # fmt: skip
    without.fit(plain, batches(), batches(2))
    assert all(same(one, other) for one, other in zip(module.left, plain.left, strict=True))
    for validation, steps in ((module.scored["val"][0], 6), (module.scored["val"][-1], 12)):
        torch.testing.assert_close(validation, averaged(module.left[:steps], 0.9, 10), rtol=1e-5, atol=1e-7)


def test_the_test_of_the_best_checkpoint_sees_the_average(tmp_path: Path) -> None:
    module = toy()
    trainer = toy_trainer(tmp_path, WeightAverage(0.9, 10))
    trainer.fit(module, batches(), batches(2))
    trainer.test(module, batches(1), ckpt_path="best", weights_only=True, verbose=False)
    assert same(module.scored["test"][0], read(tmp_path / "best.ckpt")["state_dict"])
    assert any(same(module.scored["test"][0], state) for state in module.scored["val"])
    trainer.validate(module, batches(1), ckpt_path="best", weights_only=True, verbose=False)
    assert same(module.scored["val"][-1], read(tmp_path / "best.ckpt")["state_dict"])


class SaveWhen(Callback):
    """Saves at a hook."""

    def __init__(self, hook: str, path: Path) -> None:
        setattr(self, hook, lambda trainer, *_: trainer.save_checkpoint(path))


@pytest.mark.parametrize("hook", ["on_validation_batch_end", "on_validation_end", "on_train_end"])
def test_a_checkpoint_holds_both_whenever_it_is_written(tmp_path: Path, hook: str) -> None:
    module = toy()
    saving = SaveWhen(hook, tmp_path / "own.ckpt")
    toy_trainer(tmp_path, WeightAverage(0.9, 10), saving).fit(module, batches(), batches(2))
    checkpoint = read(tmp_path / "own.ckpt")
    assert same(checkpoint["current_model_state"], module.left[-1])
    torch.testing.assert_close(checkpoint["state_dict"], averaged(module.left, 0.9, 10), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("decay", "warmup"), [(1, 10), (-0.1, 10), (0.9, 0.5)])
def test_impossible_numbers_are_refused(decay: float, warmup: float) -> None:
    with pytest.raises(ConfigError, match=r"callbacks\.ema: got decay=.*expected a decay from 0 to below 1"):
        WeightAverage(decay, warmup)


def test_any_experiment_can_have_it() -> None:
    cfg = compose("train", ["experiment=aeroscenes_sbanet", "callbacks=[from_scratch,ema]", "callbacks.ema.decay=0.99"])
    assert check(cfg) == []
    assert {"best", "pictures", "progressive", "ema"} <= set(cfg.callbacks)


def stopping_at_epoch_1(task: ReferringSegmentation) -> None:
    if task.current_epoch == 1:
        raise RuntimeError("the job was killed")


@pytest.fixture(scope="module")
def averaged_run(train_tiny: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small run with the average."""
    folder = tmp_path_factory.mktemp("averaged")
    train_tiny(folder, *EMA)
    return folder


def test_a_run_that_is_continued_equals_the_uninterrupted(
    averaged_run: Path, train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ReferringSegmentation, "on_train_epoch_start", stopping_at_epoch_1)
        with pytest.raises(RuntimeError, match="killed"):
            train_tiny(tmp_path, *EMA)
    train_tiny(tmp_path, *EMA)
    for name in ("last", "best"):
        whole, continued = (read(folder / "checkpoints" / f"{name}.ckpt") for folder in (averaged_run, tmp_path))
        for part in ("state_dict", "current_model_state", "averaging_state"):
            tensors = [{k: v for k, v in state[part].items() if "extra_state" not in k} for state in (whole, continued)]
            assert same(*tensors), (name, part)
        assert not torch.equal(*(whole[part][HEAD] for part in ("state_dict", "current_model_state")))
    assert (tmp_path / "metrics.csv").read_bytes() == (averaged_run / "metrics.csv").read_bytes()


def test_the_model_of_a_checkpoint_has_the_average(averaged_run: Path) -> None:
    path = averaged_run / "checkpoints" / "best.ckpt"
    model, stored = ReferringSegmenter.from_checkpoint(path), read(path)["state_dict"]
    assert all(name.startswith("model.") for name in stored)
    for name, value in model.state_dict().items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, stored[f"model.{name}"]), name


TWO_RANKS = """
import sys
import torch
from pathlib import Path
from sbanet.running import train
from sbanet.training.weight_average import WeightAverage
from tests.tiny_run import tiny_config

folder, cache = map(Path, sys.argv[1:3])
leave = WeightAverage.on_train_end

def noted(callback, trainer, module):
    leave(callback, trainer, module)
    weights = {name: value.detach() for name, value in module.named_parameters()}
    torch.save(weights, folder.with_name(f"rank_{trainer.global_rank}.pt"))

WeightAverage.on_train_end = noted
train(tiny_config(folder, cache, "trainer=ddp", "trainer.accelerator=cpu", *sys.argv[3:]))
"""


@pytest.mark.slow
def test_two_ranks_have_one_average(scene_cache: Path, tmp_path: Path) -> None:
    program = tmp_path / "two_ranks.py"
    program.write_text(TWO_RANKS)
    root = Path(__file__).parents[2]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PL_")}
    environment["PYTHONPATH"] = os.pathsep.join([str(root), str(root / "src")])
    overrides = [*EMA, "test=false", "trainer.accumulate_grad_batches=2"]
    overrides += ["trainer.sync_batchnorm=false"]  # torch has it for GPUs alone
    command = [sys.executable, str(program), str(tmp_path / "run"), str(scene_cache), *overrides]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    first, second = (read(tmp_path / f"rank_{rank}.pt") for rank in range(2))
    assert same(first, second)
    checkpoint = read(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert all(torch.equal(value, checkpoint["state_dict"][name]) for name, value in first.items())
    assert checkpoint["averaging_state"]["n_averaged"] == 16  # two epochs of eight optimiser steps
    assert not torch.equal(*(checkpoint[state][HEAD] for state in ("state_dict", "current_model_state")))
