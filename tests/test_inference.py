"""A checkpoint, an image, a sentence: the mask, or one clear line."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hydra.utils import instantiate

from sbanet import ReferringSegmenter
from sbanet.analysis.runs import Run
from sbanet.data.batching import Collate, Samples
from sbanet.data.records import Record, Sample
from sbanet.data.sampling import Draw
from sbanet.data.transforms import Transform
from sbanet.errors import CheckpointError, DataError
from sbanet.images import Stretch
from sbanet.inference import (
    SCHEMA,
    Preprocessing,
    load_segmenter,
    predict,
    predict_each,
    read_checkpoint,
    rebuilding,
    unread_words,
)
from sbanet.models.resize import resize_logits

SENTENCE = "the small ship on the left"


@pytest.fixture(scope="module")
def best(tiny_run: Path) -> Path:
    return tiny_run / "checkpoints" / "best.ckpt"


@pytest.fixture(scope="module")
def model(best: Path) -> ReferringSegmenter:
    return ReferringSegmenter.from_checkpoint(best)


@pytest.fixture(scope="module")
def test_samples(tiny_run: Path) -> Samples:
    data = json.loads((tiny_run / "run.json").read_text())["config"]["data"]
    return instantiate(data, tokenizer=None).samples("test")


def picture(height: int, width: int, channels: int = 3) -> np.ndarray:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return cv2.GaussianBlur(pixels, (5, 5), 0).reshape(height, width, channels)


def rewritten(best: Path, path: Path, change: Any) -> Path:
    checkpoint = torch.load(best, weights_only=True)
    change(checkpoint)
    torch.save(checkpoint, path)
    return path


@pytest.mark.parametrize("size", [(64, 64), (37, 91), (1, 1), (90, 1), (1, 90), (200, 3), (301, 203), (20_000, 200)])
@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_the_mask_has_the_images_own_size(
    model: ReferringSegmenter, tmp_path: Path, size: tuple[int, int], kind: str
) -> None:
    path = tmp_path / f"picture.{kind}"
    cv2.imwrite(str(path), picture(*size))
    mask = model.predict(path, SENTENCE)
    assert mask.shape == size
    assert mask.dtype == bool


def test_a_file_and_its_pixels_give_the_same(model: ReferringSegmenter, tmp_path: Path) -> None:
    pixels = picture(50, 70)
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    one, other = predict(model, path, SENTENCE), predict(model, pixels, SENTENCE)
    np.testing.assert_array_equal(one.probability, other.probability)
    np.testing.assert_array_equal(one.mask, one.probability > 0.5)
    assert one.probability.dtype == np.float32


@pytest.mark.parametrize("size", [(37, 91), (301, 203), (1, 90)])
def test_the_answer_is_resized_as_the_test_resizes_it(model: ReferringSegmenter, size: tuple[int, int]) -> None:
    pixels = picture(*size)
    assert model.preprocessing is not None
    with torch.inference_mode():
        logits = model(model.preprocessing(pixels), *model.text_encoder.tokenizer([SENTENCE]))
        expected = resize_logits(logits, size)[0].sigmoid().numpy()
    np.testing.assert_allclose(predict(model, pixels, SENTENCE).probability, expected, atol=1e-5)


def test_the_sentences_of_an_image_are_answered_together_as_each_alone(
    model: ReferringSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sbanet.inference.SENTENCES_AT_ONCE", 2)
    pixels = picture(37, 91)
    sentences = [SENTENCE, "the ship", "the large vehicle below the small grey storage tank", SENTENCE, "a tank"]
    passes: list[int] = []
    with model.register_forward_pre_hook(lambda _, inputs: passes.append(len(inputs[1]))):
        together = list(predict_each(model, pixels, sentences))
    assert passes == [2, 2, 1]
    assert not torch.is_inference_mode_enabled()
    for sentence, prediction in zip(sentences, together, strict=True):
        alone = predict(model, pixels, sentence)
        np.testing.assert_allclose(prediction.probability, alone.probability, atol=1e-5)
        np.testing.assert_array_equal(prediction.mask, prediction.probability > 0.5)
    assert np.abs(together[0].probability - together[1].probability).max() > 1e-3


def test_pixels_of_any_kind_are_read(model: ReferringSegmenter) -> None:
    grey, alpha = picture(50, 70)[..., :1], np.full((50, 70, 1), 9, np.uint8)
    expected = predict(model, np.repeat(grey, 3, axis=2), SENTENCE).probability
    for pixels in (grey, grey[..., 0], np.concatenate([grey, grey, grey, alpha], axis=2)):
        np.testing.assert_array_equal(predict(model, pixels, SENTENCE).probability, expected)


def test_the_stretch_is_applied(model: ReferringSegmenter, tmp_path: Path) -> None:
    pixels = picture(50, 70)
    expected = predict(model, pixels, SENTENCE).probability
    for wide in (pixels * np.uint16(40), pixels.astype(np.float32) * 40):
        for stretch in ("range:0,10200", Stretch(0, 10200, percentile=False)):
            np.testing.assert_array_equal(predict(model, wide, SENTENCE, stretch=stretch).probability, expected)
        assert (predict(model, wide, SENTENCE).probability != expected).any()
    cv2.imwrite(str(tmp_path / "wide.tif"), wide[..., ::-1])
    mask = model.predict(tmp_path / "wide.tif", SENTENCE, stretch="range:0,10200")
    np.testing.assert_array_equal(mask, expected > 0.5)


def test_prediction_is_what_the_test_scored(model: ReferringSegmenter, tiny_run: Path, test_samples: Samples) -> None:
    table = Run(tiny_run).predictions("test")
    for row, record in zip(table.itertuples(), test_samples.records, strict=True):
        dataset = test_samples.dataset
        mask, target = model.predict(dataset.image(record), record.expression), dataset.mask(record)
        # another batch size, so single pixels may differ
        assert abs(int((mask & target).sum()) - row.native_I) <= 2
        assert abs(int((mask | target).sum()) - row.native_U) <= 2


def test_the_network_sees_what_it_saw_in_training(model: ReferringSegmenter, test_samples: Samples) -> None:
    preprocessing = model.preprocessing
    assert isinstance(preprocessing, Preprocessing)
    record = test_samples.records[0]
    trained = Collate(lambda _: (None, None), mean=preprocessing.mean, std=preprocessing.std)
    batch = trained([test_samples[Draw(0, 0)]])
    torch.testing.assert_close(preprocessing(test_samples.dataset.image(record)), batch.image, atol=1e-5, rtol=0)


def test_the_network_sees_what_it_saw_whatever_the_resize(best: Path, tmp_path: Path) -> None:
    def change(checkpoint: dict[str, Any]) -> None:
        checkpoint["sbanet"]["config"]["data"]["resize"] = "pillow"

    preprocessing = load_segmenter(rewritten(best, tmp_path / "pillow.ckpt", change)).preprocessing
    assert isinstance(preprocessing, Preprocessing)
    image, side = picture(200, 300), preprocessing.image_size
    record = Record(sample_id="0", image="0", instance=0, expression="", split="test", category="")
    sample = Sample(image=image, mask=image[..., 0] > 99, expression="", record=record)
    trained = Collate(lambda _: (None, None), mean=preprocessing.mean, std=preprocessing.std)
    batch = trained([Transform(image_size=side, resize="pillow")(sample, 0)])
    torch.testing.assert_close(preprocessing(image), batch.image, atol=1e-5, rtol=0)
    assert (preprocessing(image) - replace(preprocessing, resize="area")(image)).abs().max() > 0.01


def test_a_checkpoint_from_before_there_was_a_choice(best: Path, tmp_path: Path) -> None:
    path = rewritten(
        best, tmp_path / "old.ckpt", lambda checkpoint: checkpoint["sbanet"]["config"]["data"].pop("resize")
    )
    assert load_segmenter(path).preprocessing == load_segmenter(best).preprocessing


def test_a_loaded_model_is_ready(model: ReferringSegmenter, best: Path) -> None:
    assert not any(module.training for module in model.modules())
    state = torch.load(best, weights_only=True)["state_dict"]
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, state[f"model.{name}"])


def test_a_model_of_ones_own_needs_its_preprocessing(best: Path) -> None:
    own = load_segmenter(best)
    own.preprocessing = None
    with pytest.raises(DataError, match="from_checkpoint"):
        own.predict(picture(4, 4), SENTENCE)


@pytest.mark.parametrize("pixels", [picture(8, 8)[None], picture(8, 8, 2), np.zeros((0, 8, 3), np.uint8)])
def test_pixels_of_another_kind_are_refused(model: ReferringSegmenter, pixels: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"expected \(H, W\) or \(H, W, C\) of numbers"):
        model.predict(pixels, SENTENCE)


@pytest.mark.parametrize("expression", ["", "   ", "\n"])
def test_an_empty_sentence_is_refused(model: ReferringSegmenter, expression: str) -> None:
    with pytest.raises(DataError, match="expression is empty"):
        model.predict(picture(8, 8), expression)


def test_a_sentence_longer_than_the_model_reads_is_refused(model: ReferringSegmenter) -> None:
    with pytest.raises(DataError, match="expression has 501 tokens, this model reads at most 40") as error:
        model.predict(picture(8, 8), "ship " * 500)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize("expression", ["Das kleine Schiff links", "小船", "🚢 \u200d\x00", "ship " * 39, "?!"])
def test_any_other_sentence_is_read(model: ReferringSegmenter, expression: str) -> None:
    assert model.predict(picture(8, 8), expression).shape == (8, 8)


@pytest.mark.parametrize(
    ("expression", "unread", "nothing_read"),
    [
        (SENTENCE, [], False),
        ("The small ship, on the left.", [], False),
        ("the Schiff or schiff 🚢", ["schiff", "or", "🚢"], False),
        ("小船", ["小", "船"], True),
        ("🚢", ["🚢"], True),
        ("?!", [], True),
    ],
)
def test_words_that_the_model_cannot_read(
    model: ReferringSegmenter, expression: str, unread: list[str], nothing_read: bool
) -> None:
    assert unread_words(model, expression) == (unread, nothing_read)


def test_a_tokenizer_need_not_tell_what_it_cannot_read(
    model: ReferringSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model.text_encoder, "tokenizer", object())
    assert unread_words(model, "小船") == ([], False)


def test_a_missing_checkpoint_lists_those_nearby(best: Path, tmp_path: Path) -> None:
    for path in (best.with_name("bset.ckpt"), best.parent, best.parents[1]):
        with pytest.raises(CheckpointError, match=r"no such file; there are .*best\.ckpt, .*last\.ckpt"):
            read_checkpoint(path)
    with pytest.raises(CheckpointError, match=r"nowhere/best\.ckpt: no such file$"):
        read_checkpoint(tmp_path / "nowhere" / "best.ckpt")


class Own:
    pass


FOREIGN = {
    "empty": b"",
    "text": b"no checkpoint\n",
    "a word that begins like a pickle": b"hello",
    "source": Path(__file__).read_bytes(),
    "noise": np.random.default_rng(0).bytes(2000),
    "zeros": bytes(500),
    "picture": cv2.imencode(".png", picture(8, 8))[1].tobytes(),
    "pickle": pickle.dumps(Own()),
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_a_file_of_another_kind_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "any.ckpt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"any\.ckpt: is no checkpoint, or a damaged one") as error:
        read_checkpoint(tmp_path / "any.ckpt")
    assert "\n" not in str(error.value)


def test_a_cut_checkpoint_is_one_clear_line(best: Path, tmp_path: Path) -> None:
    content = best.read_bytes()
    for length in (10, 1000, len(content) // 2, len(content) - 1):
        (tmp_path / "cut.ckpt").write_bytes(content[:length])
        with pytest.raises(CheckpointError, match="is no checkpoint, or a damaged one"):
            read_checkpoint(tmp_path / "cut.ckpt")


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    torch.save({"sbanet": {"schema": 1, "config": {}}, "state_dict": {}, "own": Own()}, tmp_path / "own.ckpt")
    with pytest.raises(CheckpointError, match="holds objects beyond tensors"):
        read_checkpoint(tmp_path / "own.ckpt")


@pytest.mark.parametrize("content", [{"model": {}}, {"sbanet": 1}, {"sbanet": {"schema": 1}}, [1], torch.ones(2)])
def test_a_checkpoint_of_another_project_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "other.ckpt")
    with pytest.raises(CheckpointError, match="was not written by this project"):
        read_checkpoint(tmp_path / "other.ckpt")


def test_a_newer_schema_asks_for_an_update(best: Path, tmp_path: Path) -> None:
    path = rewritten(best, tmp_path / "new.ckpt", lambda checkpoint: checkpoint["sbanet"].update(schema=SCHEMA + 1))
    with pytest.raises(
        CheckpointError, match=rf"has schema {SCHEMA + 1}, this version reads {SCHEMA}; update to sbanet"
    ):
        read_checkpoint(path)


KEY = "decoder.classifier.weight"


def drop(checkpoint: dict[str, Any]) -> None:
    del checkpoint["state_dict"][f"model.{KEY}"]


def add(checkpoint: dict[str, Any]) -> None:
    checkpoint["state_dict"]["model.decoder.more"] = torch.ones(1)


def cut(checkpoint: dict[str, Any]) -> None:
    weights = checkpoint["state_dict"]
    weights[f"model.{KEY}"] = weights[f"model.{KEY}"][:, :3]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (drop, rf"{KEY} is missing \(1 of \d+ weights\)"),
        (add, r"decoder\.more is left over \(1 of"),
        (cut, rf"{KEY} has shape \(1, 3, 1, 1\), expected \(1, 32, 1, 1\) \(1 of"),
    ],
)
def test_weights_that_do_not_fit_are_named(best: Path, tmp_path: Path, change: Any, expected: str) -> None:
    path = rewritten(best, tmp_path / "misfit.ckpt", change)
    with pytest.raises(CheckpointError, match=expected) as error:
        load_segmenter(path)
    assert "\n" not in str(error.value)


def test_of_many_misfits_some_are_named(best: Path, tmp_path: Path) -> None:
    path = rewritten(best, tmp_path / "none.ckpt", lambda checkpoint: checkpoint["state_dict"].clear())
    with pytest.raises(CheckpointError, match=r"is missing; .*; \.\.\. \(") as error:
        load_segmenter(path)
    assert len(str(error.value)) < 500


def test_another_vocabulary_is_refused(best: Path, tmp_path: Path) -> None:
    def rename(checkpoint: dict[str, Any]) -> None:
        checkpoint["state_dict"]["model.text_encoder._extra_state"]["words"][-1] = "schooner"

    with pytest.raises(CheckpointError, match=r"vocab\.ckpt: .*another vocabulary .*schooner"):
        load_segmenter(rewritten(best, tmp_path / "vocab.ckpt", rename))


def test_a_checkpoint_is_rebuilt_without_what_its_nodes_began_with() -> None:
    model = {"backbone": {"weights": "hub", "mean": None}, "text_encoder": {"pretrained": True, "source": "x"}}
    about = {
        "config": {"model": model},
        "normalisation": {"mean": [0.5] * 3, "std": [0.2] * 3},
        "text_encoder_files": {"config.json": "{}"},
    }
    assert rebuilding(about) == {
        "backbone": {"weights": None, "mean": [0.5] * 3, "std": [0.2] * 3},
        "text_encoder": {"pretrained": False, "source": "x", "files": {"config.json": "{}"}},
    }
    assert model["backbone"]["weights"] == "hub", "the checkpoint's own entry is left as it is"
