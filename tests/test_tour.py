"""The tour finds a model or trains one, and its scenes are those of the dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sbanet import ReferringSegmenter, tour

from .tiny_run import TINY


@pytest.fixture(autouse=True)
def no_checkpoint_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(tour.VARIABLE, raising=False)


@pytest.fixture(scope="module")
def ckpt(tiny_run: Path) -> Path:
    return tiny_run / "checkpoints" / "best.ckpt"


def test_a_named_checkpoint_comes_before_that_of_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demo = tmp_path / "runs" / "demo" / "sbanet" / "checkpoints" / "best.ckpt"
    demo.parent.mkdir(parents=True)
    demo.touch()
    monkeypatch.setattr(tour, "train", lambda _: pytest.fail("nothing is to be trained"))
    assert tour.checkpoint(tmp_path) == demo
    monkeypatch.setenv(tour.VARIABLE, "my.ckpt")
    assert tour.checkpoint(tmp_path) == Path("my.ckpt")


@pytest.mark.usefixtures("process_settings")
def test_without_any_a_model_is_trained_once(
    tmp_path: Path, scene_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [*TINY, "debug=fast", f"paths.cache={scene_cache}"]
    path = tour.checkpoint(tmp_path / "a folder, too", overrides)
    assert path == tmp_path / "a folder, too" / "runs" / "aeroscenes_tour" / "default" / "checkpoints" / "best.ckpt"
    written = path.stat().st_mtime_ns
    assert tour.checkpoint(tmp_path / "a folder, too", overrides) == path
    assert path.stat().st_mtime_ns == written
    assert ReferringSegmenter.from_checkpoint(path).predict(np.zeros((64, 64, 3), np.uint8), "ship").shape == (64, 64)


def test_scenes_hold_all_their_sentences(ckpt: Path) -> None:
    model = ReferringSegmenter.from_checkpoint(ckpt)
    scenes = tour.scenes(ckpt, model, count=2)
    assert len(scenes) == 2
    assert len(tour.scenes(ckpt, model, count=99)) == 3
    for scene in scenes:
        assert scene.image.shape == (64, 64, 3)
        assert len(scene.records) == len(scene.targets) > 1
        assert {record.image for record in scene.records} == {scene.records[0].image}
        assert 1 <= scene.objects <= len(scene.records)
        assert all(target.any() for target in scene.targets)


def test_answers_are_the_models(ckpt: Path) -> None:
    model = ReferringSegmenter.from_checkpoint(ckpt)
    [scene] = tour.scenes(ckpt, model, count=1, split="test")
    answers = tour.answers(model, scene)
    assert [answer.record for answer in answers] == list(scene.records)
    for answer, target in zip(answers, scene.targets, strict=True):
        np.testing.assert_array_equal(answer.mask, model.predict(scene.image, answer.record.expression))
        assert answer.target is target
        assert answer.iou == pytest.approx((answer.mask & target).sum() / (answer.mask | target).sum())


def test_a_picture_keeps_its_few_colours() -> None:
    picture = np.zeros((4, 6, 3), np.uint8)
    picture[1:3] = (255, 64, 160)
    np.testing.assert_array_equal(np.array(tour.shown(picture).convert("RGB")), picture)
