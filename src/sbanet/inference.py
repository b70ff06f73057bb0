"""A checkpoint, an image, a sentence -> a mask.

Shape letters: H W the image's own size.
"""

from __future__ import annotations

import copy
import unicodedata
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from torch import nn

from sbanet.errors import CheckpointError, DamagedCheckpointError, DataError
from sbanet.images import DEFAULT_STRETCH, Stretch, read_image, rgb
from sbanet.models.nodes import foreground_logits
from sbanet.models.resize import logits_at
from sbanet.models.segmenter import ReferringSegmenter
from sbanet.resizing import Resize, resize_image

SCHEMA = 2
"""The version of the entry `sbanet` in checkpoints that this code reads."""
LAST_READER = {1: "a checkout of commit 273676b"}
"""Of the schemas that do not name the version that wrote them, the last one that reads them."""

SENTENCES_AT_ONCE = 8
"""Of an image, in a forward pass."""

SHOWN_MISFITS = 3
"""Weights that an error names of those that do not fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """What an image goes through before the network, as in training.

    Attributes:
        image_size: side of the square that the network sees, pixels.
        mean: of each channel, on the scale 0 to 1.
        std: of each channel, on the scale 0 to 1.
        resize: how the image comes to that size.
    """

    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: Resize = "area"

    def __call__(self, image: np.ndarray) -> torch.Tensor:
        """(H, W, 3) uint8 RGB -> (1, 3, image_size, image_size) float32."""
        image = resize_image(image, self.image_size, self.resize)
        normalised = (image / 255.0 - np.array(self.mean)) / np.array(self.std)
        return torch.from_numpy(normalised.astype(np.float32)).permute(2, 0, 1)[None]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model answers.

    Attributes:
        mask: (H, W) bool.
        probability: (H, W) float32.
    """

    mask: np.ndarray
    probability: np.ndarray


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint of this project; only plain containers and tensors are unpickled.

    Raises:
        CheckpointError: no such file, a damaged one, one of another project, or of a newer schema.
    """
    path = Path(path)
    if not path.is_file():
        folder = path if path.is_dir() else path.parent
        found = sorted(str(file) for file in folder.rglob("*.ckpt"))[:5] if folder.is_dir() else []
        hint = f"; there are {', '.join(found)}" if found else ""
        raise CheckpointError(f"ckpt={path}: no such file{hint}")
    try:
        with warnings.catch_warnings(action="ignore"):  # guesses about what kind of file it is
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"ckpt={path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # of any kind: a file of another format is parsed until something does not fit
        objects = "; it holds objects beyond tensors and plain containers" * ("unsupported" in str(error).lower())
        raise DamagedCheckpointError(f"ckpt={path}: is no checkpoint, or a damaged one{objects}") from error
    about = checkpoint.get("sbanet") if isinstance(checkpoint, Mapping) else None
    if not isinstance(about, Mapping) or not {"schema", "config"} <= about.keys() or "state_dict" not in checkpoint:
        raise CheckpointError(f"ckpt={path}: was not written by this project (it has no entry 'sbanet')")
    if about["schema"] != SCHEMA:
        writer = f"sbanet {about['version']}" if "version" in about else LAST_READER.get(about["schema"], "its writer")
        advice = f"update to {writer}" if about["schema"] > SCHEMA else f"train it anew, or use {writer}"
        raise CheckpointError(f"ckpt={path}: has schema {about['schema']}, this version reads {SCHEMA}; {advice}")
    return dict(checkpoint)


def load_segmenter(path: str | Path, *, device: str | torch.device = "cpu") -> ReferringSegmenter:
    """Rebuild the model that a checkpoint describes, with its weights, in evaluation mode.

    Raises:
        CheckpointError: the file cannot be used, or weights are missing, left over or of another shape.
    """
    return segmenter_of(read_checkpoint(path), path).to(device)


def segmenter_of(checkpoint: Mapping[str, Any], path: str | Path) -> ReferringSegmenter:
    """The model of a checkpoint that was read; `path` is for messages."""
    about = checkpoint["sbanet"]
    model: ReferringSegmenter = instantiate(rebuilding(about))
    prefix = "model."
    weights = {key[len(prefix) :]: value for key, value in checkpoint["state_dict"].items() if key.startswith(prefix)}
    if misfits := differing_weights(model, weights):
        shown = "; ".join(misfits[:SHOWN_MISFITS]) + "; ..." * (len(misfits) > SHOWN_MISFITS)
        raise CheckpointError(
            f"ckpt={path}: does not fit the model of its own config: {shown} ({len(misfits)} of {len(weights)} weights)"
        )
    try:
        model.load_state_dict(weights, strict=True)
    except ValueError as error:  # the text encoder compares vocabularies
        raise CheckpointError(f"ckpt={path}: {error}") from error
    normalisation = about["normalisation"]
    data = about["config"]["data"]
    model.preprocessing = Preprocessing(
        image_size=data["image_size"],
        mean=tuple(normalisation["mean"]),
        std=tuple(normalisation["std"]),
        resize=data.get("resize", "area"),  # the one way there was before there was a choice
    )
    return model.eval()


def differing_weights(model: nn.Module, weights: Mapping[str, Any]) -> list[str]:
    """What keeps weights from fitting a model, a phrase a key."""
    own = model.state_dict()
    shapes = [(key, tuple(np.shape(weights[key])), tuple(np.shape(own[key]))) for key in own if key in weights]
    return [
        *(f"{key} is missing" for key in own if key not in weights),
        *(f"{key} is left over" for key in weights if key not in own),
        *(f"{key} has shape {came}, expected {expected}" for key, came, expected in shapes if came != expected),
    ]


def predict(
    model: ReferringSegmenter,
    image: np.ndarray | str | Path,
    expression: str,
    *,
    stretch: Stretch | str = DEFAULT_STRETCH,
) -> Prediction:
    """Segment what the sentence means.

    Args:
        model: with its `preprocessing`, as `ReferringSegmenter.from_checkpoint` returns it.
        image: a file, or (H, W) or (H, W, C) of bool or numbers with C of 1, 3 (RGB) or 4; see `sbanet.images`.
        expression: the sentence.
        stretch: how an image that is not 8-bit becomes so; a `Stretch`, or what `Stretch.parse` reads.

    Raises:
        ConfigError: the stretch cannot be read.
        DataError: the image cannot be used, or the sentence is empty or longer than the model reads.
    """
    return next(predict_each(model, image, [expression], stretch=stretch))


@torch.inference_mode()
def predict_each(
    model: ReferringSegmenter,
    image: np.ndarray | str | Path,
    expressions: Sequence[str],
    *,
    stretch: Stretch | str = DEFAULT_STRETCH,
) -> Iterator[Prediction]:
    """Segment what each of several sentences means, `SENTENCES_AT_ONCE` of them in a forward pass.

    The image is prepared once, and seen once a pass up to the first alignment. What else is asked changes an answer by
    the rounding of float32 alone. Arguments and errors are those of `predict`; they are raised when the first answer is
    asked for.

    Yields:
        A prediction a sentence, in their order.
    """
    if model.preprocessing is None:
        raise DataError("the model does not know its preprocessing; load it by ReferringSegmenter.from_checkpoint")
    for expression in expressions:
        check_expression(model, expression)
    stretch = Stretch.parse(stretch) if isinstance(stretch, str) else stretch
    pixels = read_image(image, stretch=stretch) if isinstance(image, str | Path) else rgb(image, stretch=stretch)
    device = next(model.parameters()).device
    prepared = model.preprocessing(pixels).to(device)
    for start in range(0, len(expressions), SENTENCES_AT_ONCE):
        token_ids, token_mask = model.text_encoder.tokenizer(list(expressions[start : start + SENTENCES_AT_ONCE]))
        logits_BHW = foreground_logits(model(prepared, token_ids.to(device), token_mask.to(device)))
        for logits_HW in logits_BHW:
            native = logits_at(logits_HW, pixels.shape[:2])
            yield Prediction(mask=(native > 0).cpu().numpy(), probability=native.sigmoid().cpu().numpy())


def check_expression(model: ReferringSegmenter, expression: str) -> None:
    """Refuse a sentence that the model could not read as it is.

    Raises:
        DataError: it is empty, or longer than the model reads.
    """
    if not expression.strip():
        raise DataError('expression is empty; say what to segment, as expression="the red ship on the left"')
    tokenizer = model.text_encoder.tokenizer
    count = tokenizer.count(expression)
    if count > tokenizer.max_tokens:
        raise DataError(
            f"expression has {count} tokens, this model reads at most {tokenizer.max_tokens}: "
            f"{expression[:40]!r}...; shorten it"
        )


def unread_words(model: ReferringSegmenter, expression: str) -> tuple[list[str], bool]:
    """What of a sentence the model cannot read, since its vocabulary lacks it.

    Tokenizers that break a word into known pieces need not tell: they read all.

    Returns:
        The words in their order, each once and without punctuation, and whether the model knows no word at all.
    """
    tokenizer = model.text_encoder.tokenizer
    if not hasattr(tokenizer, "unknown"):
        return [], False
    unknown = list(dict.fromkeys(filter(_is_word, tokenizer.unknown(expression))))
    known = set(filter(_is_word, tokenizer.split(expression))) - set(unknown)
    return unknown, not known


def _is_word(token: str) -> bool:
    return not all(unicodedata.category(letter)[0] in "PZ" for letter in token)  # punctuation, separators


def rebuilding(about: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a checkpoint's model, for its own weights: nothing is fetched or opened besides."""
    model = copy.deepcopy(dict(about["config"]["model"]))
    backbone, text_encoder = model["backbone"], model["text_encoder"]
    normalisation = about["normalisation"]
    backbone |= {"mean": normalisation["mean"], "std": normalisation["std"]}
    if "weights" in backbone:
        backbone["weights"] = None
    if about["text_encoder_files"] is not None:
        text_encoder |= {"pretrained": False, "files": about["text_encoder_files"]}
    return model
