"""Sentences as vectors by any encoder of the transformers library, with its own tokenizer.

Shape letters: B batch, T tokens, D text width.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from torch import Tensor, nn

from sbanet.models.nodes import Words
from sbanet.models.weights import WeightsError, asking_the_hub, find_local, hub_failure

SOURCE_KEY = "model.text_encoder.source"

Files = Mapping[str, str]
"""Small text files by name: a config, a tokenizer."""


class PretrainedTokenizer:
    """The tokenizer that belongs to a transformers model.

    Args:
        tokenizer: of the transformers library.
        max_tokens: cap on the length, special tokens included; what lies beyond is cut.
        official_truncation: True = it is cut off the end of all tokens, so that a long sentence loses its closing one,
            as in the official code of LAVT and RMSIN; False = it is cut before the closing token.
    """

    def __init__(self, tokenizer: Any, *, max_tokens: int, official_truncation: bool = False) -> None:
        special = len(tokenizer("")["input_ids"])
        if max_tokens <= special:
            raise ValueError(
                f"model.text_encoder.max_tokens: got {max_tokens}, expected more than the {special} special tokens"
            )
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        tokenizer.padding_side = "right"
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.official_truncation = official_truncation

    def __call__(self, expressions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token ids (B, T) int64 and mask (B, T) bool, padded to the longest of the batch."""
        cut = {"verbose": False} if self.official_truncation else {"truncation": True, "max_length": self.max_tokens}
        encoded = self.tokenizer(list(expressions), padding=True, return_attention_mask=True, **cut)
        token_ids, token_mask = (torch.tensor(encoded[key]) for key in ("input_ids", "attention_mask"))
        return token_ids[:, : self.max_tokens], token_mask[:, : self.max_tokens].bool()

    def count(self, expression: str) -> int:
        """How many tokens the sentence has before any truncation."""
        return len(self.tokenizer(expression, verbose=False)["input_ids"])

    def unknown(self, expression: str) -> list[str]:
        """The words of a sentence, as blanks part them, of which a part is not in the vocabulary."""
        number = self.tokenizer.unk_token_id
        if number is None or number not in self.tokenizer(expression, verbose=False)["input_ids"]:
            return []
        return [
            word
            for word in expression.split()
            if number in self.tokenizer(word, add_special_tokens=False, verbose=False)["input_ids"]
        ]


class PretrainedTextEncoder(nn.Module):
    """A transformers encoder: BERT, RoBERTa, DistilBERT, MiniLM, the text tower of CLIP or SigLIP, and their like.

    Args:
        source: a name on the Hugging Face hub, a local folder, or `package:<module>/<folder>`: whose architecture,
            tokenizer and weights to use.
        pretrained: whether to load the weights; False = random ones of the same architecture.
        max_tokens: cap on the length of a sentence, special tokens included.
        official_truncation: whether a longer sentence loses its closing token; see `PretrainedTokenizer`.
        frozen_layers: the embeddings and the first so many layers do not learn and have no dropout; `all` = nothing
            learns; 0 = everything does.
        files: the config and the tokenizer, as `files` of an encoder holds them: with these, the source is not
            opened. A checkpoint carries them.

    Raises:
        WeightsError: the source cannot be had, or is none of a text encoder.
        ValueError: `max_tokens` is more than the encoder has positions for, or `frozen_layers` than it has layers.
    """

    def __init__(
        self,
        *,
        source: str,
        pretrained: bool = True,
        max_tokens: int = 40,
        official_truncation: bool = False,
        frozen_layers: int | Literal["all"] = 0,
        files: Files | None = None,
    ) -> None:
        super().__init__()
        model, tokenizer = opened(source, files, pretrained=pretrained)
        encoder = getattr(model, "text_model", model)  # of two towers, that of the text
        if getattr(encoder, "pooler", None) is not None:
            encoder.pooler = None  # no word depends on it
        positions = min(getattr(encoder.config, "max_position_embeddings", max_tokens), tokenizer.model_max_length)
        if max_tokens > positions:
            raise ValueError(f"model.text_encoder.max_tokens={max_tokens}: {source} reads at most {positions}")
        self.tokenizer = PretrainedTokenizer(tokenizer, max_tokens=max_tokens, official_truncation=official_truncation)
        require_vocabulary(encoder, tokenizer, source)
        self.width = int(encoder.config.hidden_size)
        self.files = dict(files) if files is not None else files_of(model.config, tokenizer)
        self.encoder = encoder
        self.frozen = frozen_modules(encoder, frozen_layers)
        for module in self.frozen:
            module.requires_grad_(False)
        freeze_unused(self)
        self.train()

    def train(self, mode: bool = True) -> PretrainedTextEncoder:
        """Switch to training; what is frozen stays in evaluation mode, without dropout."""
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self

    def forward(self, token_ids_BT: Tensor, token_mask_BT: Tensor) -> Words:
        """Token ids and mask (B, T) -> the words (B, T, D); padded positions are zero."""
        # transformers looks into the mask, which a tensor without memory (for counting operations) does not have
        attention_mask = None if token_mask_BT.is_meta else token_mask_BT.long()
        features_BTD = self.encoder(input_ids=token_ids_BT, attention_mask=attention_mask).last_hidden_state
        return Words(features_BTD * token_mask_BT.unsqueeze(-1), token_mask_BT)

    def get_extra_state(self) -> dict[str, str]:
        """A fingerprint of the vocabulary, so that weights are never read with another one."""
        return {"vocabulary": fingerprint(self.tokenizer.tokenizer)}

    def set_extra_state(self, state: dict[str, str]) -> None:
        """Compare the stored vocabulary with the tokenizer's.

        Raises:
            ValueError: if they differ.
        """
        if state["vocabulary"] != fingerprint(self.tokenizer.tokenizer):
            raise ValueError(
                "model.text_encoder: the weights were trained with another tokenizer; use that of their own config"
            )


def opened(source: str, files: Files | None, *, pretrained: bool) -> tuple[Any, Any]:
    """A transformers model and its tokenizer.

    Raises:
        WeightsError: they cannot be had.
    """
    if files is not None:
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                Path(folder, name).write_text(text, encoding="utf-8")
            return _opened(folder, pretrained=False)
    local = find_local(source, key=SOURCE_KEY)
    try:
        with asking_the_hub(source) if local is None else nullcontext():
            return _opened(str(local or source), pretrained=pretrained)
    except Exception as error:  # of any kind: damaged files and failed downloads raise what their readers raise
        if local is None:
            raise hub_failure(source, error, key=SOURCE_KEY, download=source) from error
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(
            f"{SOURCE_KEY}={source}: is no folder with config, tokenizer{' and weights' * pretrained} ({reason})"
        ) from error


def open_tokenizer(source: str) -> Any:
    """The tokenizer of a source alone.

    Raises:
        WeightsError: it cannot be had.
    """
    local = find_local(source, key=SOURCE_KEY)
    try:
        with asking_the_hub(source) if local is None else nullcontext():
            return transformers.AutoTokenizer.from_pretrained(str(local or source))
    except Exception as error:  # of any kind, as above
        raise hub_failure(source, error, key=SOURCE_KEY, download=source) from error


def _opened(place: str, *, pretrained: bool) -> tuple[Any, Any]:
    tokenizer = transformers.AutoTokenizer.from_pretrained(place)
    if not pretrained:
        return transformers.AutoModel.from_config(transformers.AutoConfig.from_pretrained(place)), tokenizer
    with without_progress_bars():
        model, report = transformers.AutoModel.from_pretrained(place, output_loading_info=True, dtype=torch.float32)
    # weights that the sentence's vectors depend on; a pooler has none of these
    if missing := [key for key in report["missing_keys"] if "pooler" not in key]:
        raise WeightsError(f"its weights lack {', '.join(missing[:3])}")
    return model, tokenizer


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Reading a file takes less time than drawing the bar."""
    shown = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers.utils.logging.enable_progress_bar()


def files_of(config: Any, tokenizer: Any) -> dict[str, str]:
    """What rebuilds an encoder without its source: the config and the tokenizer as text files."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        config.save_pretrained(folder)
        return {file.name: file.read_text(encoding="utf-8") for file in sorted(Path(folder).iterdir())}


def fingerprint(tokenizer: Any) -> str:
    """A hash of the vocabulary and its numbering."""
    return hashlib.sha256(json.dumps(sorted(tokenizer.get_vocab().items())).encode()).hexdigest()[:16]


def require_vocabulary(encoder: nn.Module, tokenizer: Any, source: str) -> None:
    """Refuse a tokenizer with words that the encoder has no embedding for.

    Raises:
        WeightsError: it is another model's.
    """
    rows = encoder.get_input_embeddings().num_embeddings  # type: ignore[operator]
    if len(tokenizer) > rows:
        raise WeightsError(
            f"{SOURCE_KEY}={source}: the tokenizer has {len(tokenizer)} words, the encoder embeds {rows}; "
            "they belong to different models"
        )


def frozen_modules(encoder: nn.Module, count: int | Literal["all"]) -> list[nn.Module]:
    """The modules of an encoder that do not learn: its embeddings and first layers.

    Raises:
        ValueError: it has fewer layers.
    """
    if count == "all":
        return [encoder]
    layers = next(list(module) for module in encoder.modules() if isinstance(module, nn.ModuleList))
    if not 0 <= count <= len(layers):
        raise ValueError(f"model.text_encoder.frozen_layers: got {count}, expected 0 to {len(layers)}, or all")
    return [encoder.embeddings, *layers[:count]] if count else []  # type: ignore[list-item]


def freeze_unused(node: PretrainedTextEncoder) -> None:
    """Let what the words do not depend on (a pooler, say) learn nothing: DDP would wait for its gradients."""
    learning = [parameter for parameter in node.parameters() if parameter.requires_grad]
    with torch.enable_grad():
        features_BTD = node.eval()(*node.tokenizer(["a"])).features_BTD
        reached: tuple[Tensor | None, ...] = (None,) * len(learning)
        if features_BTD.requires_grad:
            reached = torch.autograd.grad(features_BTD.sum(), learning, allow_unused=True)
    for parameter, gradient in zip(learning, reached, strict=True):
        if gradient is None:
            parameter.requires_grad_(False)
