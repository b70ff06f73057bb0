"""The trainer of a config: what it sets for the process, and what it is not given."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from omegaconf import DictConfig

from sbanet.config import check, compose
from sbanet.training.trainer import Trainer, build_trainer

pytestmark = pytest.mark.usefixtures("process_settings")


def node(*overrides: str) -> DictConfig:
    return compose("train", list(overrides)).trainer


def built(*overrides: str, **options: Any) -> Trainer:
    return build_trainer(node(*overrides), **({"callbacks": [], "logger": False} | options))


@pytest.mark.parametrize("option", ["gpu", "ddp"])
def test_gpus_compute_in_bfloat16_and_tf32(option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    trainer = node(f"trainer={option}")
    assert (trainer.precision, trainer.float32_matmul_precision) == ("bf16-mixed", "high")


@pytest.mark.parametrize("precision", ["high", "highest"])
def test_the_precision_of_matrix_products_is_set(precision: str) -> None:
    torch.set_float32_matmul_precision("medium")
    built(f"trainer.float32_matmul_precision={precision}")
    assert torch.get_float32_matmul_precision() == precision


def test_an_unknown_precision_is_found_by_the_check() -> None:
    [problem] = check(compose("train", ["trainer.float32_matmul_precision=tf32"]))
    assert problem.key == "trainer.float32_matmul_precision"


def test_the_arguments_of_lightning_are_still_checked() -> None:
    [problem] = check(compose("train", ["+trainer.gradient_clip_value=1"]))
    assert "did you mean" in str(problem)


def test_what_the_callbacks_lack_stays_away() -> None:
    bare = built()
    assert bare.checkpoint_callback is None
    assert bare.progress_bar_callback is None


def test_what_the_callbacks_have_is_there_once(tmp_path: Any) -> None:
    progress, checkpoints = RichProgressBar(), ModelCheckpoint(dirpath=tmp_path)
    trainer = built(callbacks=[progress, checkpoints])
    assert trainer.progress_bar_callback is progress
    assert trainer.checkpoint_callbacks == [checkpoints]


@pytest.mark.parametrize(
    ("precision", "emulated", "warned"), [("bf16-mixed", True, 1), ("bf16-mixed", False, 0), ("32-true", True, 0)]
)
def test_bfloat16_that_is_emulated_is_warned_of(
    precision: str, emulated: bool, warned: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sbanet.training.trainer.multiplies_bfloat16", lambda: not emulated)
    built(f"trainer.precision={precision}")
    assert [record.levelname for record in caplog.records if "many times slower" in record.message] == (
        ["WARNING"] * warned
    )
