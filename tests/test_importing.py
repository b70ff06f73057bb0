"""`sbanet-import`: official files become checkpoints that rebuild themselves; harmful ones do nothing."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from sbanet import ReferringSegmenter
from sbanet.importing import main
from sbanet.interop import load_official

from .interop.conftest import vocabulary  # noqa: F401
from .interop.tiny_official import lavt


class Harmful:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def official(path, **more):
    """A file as the official code writes it."""
    args = argparse.Namespace(model="lavt_one", swin_type="tiny", lr=5e-5, mha="")
    schedule = {"base_lrs": [5e-5], "last_epoch": 3, "lr_lambdas": [None]}
    content = {"model": lavt(), "optimizer": {"state": {}, "param_groups": []}, "epoch": 3, "args": args}
    torch.save({**content, "lr_scheduler": schedule, **more}, path)
    return str(path)


@pytest.fixture
def target(tmp_path):
    return tmp_path / "out" / "lavt.ckpt"


def failure(capsys, *arguments):
    with pytest.raises(SystemExit) as exit_:
        main([str(argument) for argument in arguments])
    assert exit_.value.code not in (0, None)
    said = capsys.readouterr()
    [line] = [line for line in (said.err + str(exit_.value.code)).splitlines() if "error" in line]
    return line


def test_an_official_file_becomes_a_checkpoint(tmp_path, target, vocabulary, capsys):  # noqa: F811
    main([official(tmp_path / "model_best.pth"), str(target), f"vocabulary={vocabulary}"])
    assert "every key of" in capsys.readouterr().out
    model, same = ReferringSegmenter.from_checkpoint(target), load_official(lavt(), vocabulary=vocabulary)
    ids = torch.tensor([[101, 1996, 2911, 102]])
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(model(image, ids, ids > 0), same(image, ids, ids > 0))
    assert model.preprocessing == same.preprocessing
    assert (model.preprocessing.image_size, model.preprocessing.resize) == (480, "pillow")
    mask = model.predict(np.zeros((30, 40, 3), np.uint8), "the red ship")
    assert mask.shape == (30, 40)


def test_the_text_encoder_beside_the_model(tmp_path, target, vocabulary):  # noqa: F811
    weights = lavt()
    prefix = "text_encoder."
    beside = {f"module.{key.removeprefix(prefix)}": weights.pop(key) for key in list(weights) if key.startswith(prefix)}
    path = official(tmp_path / "x.pth", model=weights, bert_model=beside)
    main([path, str(target), f"vocabulary={vocabulary}", "fusion_heads=1-1-2-2"])
    model = ReferringSegmenter.from_checkpoint(target)
    assert [alignment.heads for alignment in model.alignments] == [1, 1, 2, 2]
    key = "embeddings.word_embeddings.weight"
    assert torch.equal(model.text_encoder.encoder.state_dict()[key], beside[f"module.{key}"])


def test_a_harmful_file_does_nothing(tmp_path, target, capsys):
    path = official(tmp_path / "x.pth", args=Harmful(tmp_path / "done"))
    assert "x.pth: is refused, since it holds objects beyond tensors" in failure(capsys, path, target)
    assert not (tmp_path / "done").exists()
    assert not target.exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is refused, since it is damaged"),
        (b"hello", "is refused, since it is damaged"),
        ([1, 2], "holds no weights"),
        ({"model": {"a": 1}}, "holds no weights"),
        ({"model": {"a": torch.zeros(1)}}, "neither LAVT's nor RMSIN's"),
    ],
)
def test_other_files_are_refused(tmp_path, target, capsys, content, expected):
    path = tmp_path / "x.pth"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    assert expected in failure(capsys, path, target)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["a.pth"], "got 1 files, expected two"),
        (["a.pth", "b.ckpt"], "a.pth: no such file"),
        (["a.pth", "b.ckpt", "layout=official"], "layout=official: expected released or intended"),
        (["a.pth", "b.ckpt", "fusion_heads=1,2"], "fusion_heads=1,2: expected four whole numbers"),
    ],
)
def test_arguments_that_cannot_be_used(arguments, expected, capsys):
    assert expected in failure(capsys, *arguments)


def test_a_key_that_does_not_fit_is_named(tmp_path, target, vocabulary, capsys):  # noqa: F811
    weights = lavt()
    del weights["backbone.norm2.weight"]
    path = official(tmp_path / "x.pth", model=weights)
    assert "backbone.norm2.weight is missing" in failure(capsys, path, target, f"vocabulary={vocabulary}")
    assert not target.exists()
