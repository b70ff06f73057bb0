"""The precision that a machine is given: a CPU that only emulates bfloat16 would take days over the demo."""

from __future__ import annotations

import pytest
import torch

from sbanet.config import compose
from sbanet.config.resolvers import fast_precision


def with_instructions(monkeypatch: pytest.MonkeyPatch, **capabilities: object) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)


@pytest.mark.parametrize("instruction", ["avx512_bf16", "amx_bf16", "bf16"])
def test_a_processor_with_bfloat16_computes_in_it(instruction: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with_instructions(monkeypatch, architecture="any", **{instruction: True})
    assert fast_precision("cpu") == "bf16-mixed"
    assert compose("train").trainer.precision == "bf16-mixed"


def test_a_processor_without_stays_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    with_instructions(monkeypatch, avx512_f=True, avx512_bf16=False)
    assert fast_precision("cpu") == "32-true"
    assert compose("train").trainer.precision == "32-true"


def test_a_torch_that_does_not_know_its_processor_stays_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert fast_precision("cpu") == "32-true"


@pytest.mark.parametrize(("gpu", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_is_the_gpu_where_there_is_one(gpu: bool, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with_instructions(monkeypatch)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert fast_precision("auto") == precision
    trainer = compose("train", ["trainer=ddp"]).trainer
    assert (trainer.precision, trainer.sync_batchnorm) == (precision, gpu)
    assert not compose("train", ["trainer=ddp", "trainer.accelerator=cpu"]).trainer.sync_batchnorm


def test_a_gpu_that_is_asked_for_needs_no_look(monkeypatch: pytest.MonkeyPatch) -> None:
    with_instructions(monkeypatch)
    assert compose("train", ["trainer=gpu"]).trainer.precision == "bf16-mixed"
    assert compose("train", ["trainer.precision=16-mixed"]).trainer.precision == "16-mixed"
