"""`sbanet-checkpoint` tells what a file holds and where two differ."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import torch

from sbanet.checkpoint import main


def said(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    main([str(argument) for argument in arguments])
    return " ".join(capsys.readouterr().out.split())


@pytest.fixture
def last(tiny_run: Path, tmp_path: Path) -> Path:
    """Under a name that Hydra's grammar could not read."""
    path = tmp_path / "epoch=3 (1).ckpt"
    path.write_bytes((tiny_run / "checkpoints" / "last.ckpt").read_bytes())
    return path


def test_info_says_what_was_trained_and_how_far(last: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "info", last)
    for fact in ("schema │ 2", "optimiser steps │ 16", "can be trained on │ yes", "val/mIoU │ 0."):
        assert fact in text


def test_diff_names_the_keys_and_weights_that_changed(last: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "diff", last, last) == "the same config, weights and progress"
    content = torch.load(last, weights_only=True)
    content["sbanet"]["config"]["optim"]["lr"] = 0.5
    name = next(iter(content["state_dict"]))
    content["state_dict"][name] = content["state_dict"][name] + 0.25
    other = last.with_name("other.ckpt")
    torch.save(content, other)
    text = said(capsys, "diff", last, other)
    assert "optim.lr │ 0.001 │ 0.5" in text
    assert name in text
    assert text.count("differs by up to 0.25") == 1


@pytest.mark.parametrize(("arguments", "line"), [(["info"], "got 0 files"), (["info", "none.ckpt"], "no such file")])
def test_a_mistake_is_one_line(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    error = capsys.readouterr().err
    assert (stopped.value.code, error.count("\n")) == (2, 1)
    assert line in error


def test_a_checkpoint_from_before_names_what_reads_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`schema_1.ckpt` is a run of commit 273676b without its optimiser's state, made there by

    sbanet-train model.backbone.channels=[8,8,8,8] model.backbone.depths=[1,1,1,1] model.text_encoder.width=8
        model.text_encoder.depth=1 model.text_encoder.head_width=8 model.decoder.hidden=8 model/aggregator=none
        model/alignment=pwam data.image_size=64 data.batch_size=4 trainer.max_epochs=1 trainer.precision=32-true
        'data.scenes_per_split={train: 1, val: 1, test: 1}'
    """
    old = tmp_path / "old.ckpt"
    old.write_bytes(gzip.decompress((Path(__file__).parent / "checkpoints" / "schema_1.ckpt.gz").read_bytes()))
    with pytest.raises(SystemExit) as stopped:
        main(["info", str(old)])
    assert stopped.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    expected = "has schema 1, this version reads 2; train it anew, or use a checkout of commit 273676b"
    assert line.endswith(expected)


def test_another_schema_names_the_version_that_reads_it(last: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = torch.load(last, weights_only=True)
    content["sbanet"] |= {"schema": 3, "version": "9.1"}
    torch.save(content, last)
    with pytest.raises(SystemExit):
        main(["info", str(last)])
    assert "has schema 3, this version reads 2; update to sbanet 9.1" in capsys.readouterr().err
