"""Files of the official code of LAVT and RMSIN, read without executing anything, and written as checkpoints of ours."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sbanet.errors import CheckpointError
from sbanet.files import open_atomically
from sbanet.inference import SCHEMA
from sbanet.interop.architecture import read_architecture
from sbanet.interop.official import Layout, build, official_config, without_wrapper
from sbanet.models.segmenter import ReferringSegmenter


def read_official(path: Path) -> dict[str, Tensor]:
    """The weights of a file, by official name; its arguments, optimiser and schedule are left out.

    Both variants are read: the text encoder within the model, or beside it (`bert_model`).

    Raises:
        CheckpointError: no such file, a damaged one, or one that holds anything but tensors, containers and arguments.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; expected a checkpoint of the official LAVT or RMSIN")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings(action="ignore"):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # of any kind: a file of another format is parsed until something does not fit
        beyond = "unsupported" in str(error).lower()
        what = "holds objects beyond tensors, containers and arguments" if beyond else "is damaged"
        raise CheckpointError(f"{path}: is refused, since it {what}; nothing of it was executed") from error
    weights = content.get("model", content) if isinstance(content, Mapping) else None
    if not isinstance(weights, Mapping) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise CheckpointError(f"{path}: holds no weights; expected a state dict, by itself or under 'model'")
    weights = without_wrapper(weights)
    beside = content.get("bert_model")
    if isinstance(beside, Mapping):
        weights |= {f"text_encoder.{name}": value for name, value in without_wrapper(beside).items()}
        weights = without_wrapper(weights)
    return weights


def import_official(
    source: Path,
    target: Path,
    *,
    fusion_heads: Sequence[int] | None = None,
    layout: Layout = "released",
    vocabulary: str | None = None,
) -> ReferringSegmenter:
    """Write a checkpoint of ours with the weights of an official file; the arguments are those of `load_official`.

    Returns:
        The model.

    Raises:
        CheckpointError: the file cannot be used, or its weights do not fit.
        WeightsError: the vocabulary cannot be had.
        OSError: the target cannot be written.
    """
    weights = read_official(source)
    config = official_config(read_architecture(weights), fusion_heads, layout, vocabulary)
    model = build(config, weights)
    with open_atomically(target) as file:
        torch.save(described(model, config), file)
    return model


def described(model: ReferringSegmenter, config: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint that rebuilds the model by itself, as training writes it."""
    files = config["model"]["text_encoder"].pop("files")
    return {
        "state_dict": {f"model.{name}": value for name, value in model.state_dict().items()},
        "sbanet": {
            "schema": SCHEMA,
            "config": config,
            "normalisation": {"mean": list(model.backbone.mean), "std": list(model.backbone.std)},
            "text_encoder_files": files,
        },
    }
