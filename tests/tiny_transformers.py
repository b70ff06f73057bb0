"""Text encoders of the transformers library with a handful of weights, as `save_pretrained` writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "red", "ship", "on", "left", "of", "tank"]
SIZES = {
    "vocab_size": len(WORDS),
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "max_position_embeddings": 24,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
}
VISION = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
VISION |= {"image_size": 16, "patch_size": 8}
CONFIGS = {
    "bert": transformers.BertConfig(**SIZES),
    "roberta": transformers.RobertaConfig(**{**SIZES, "max_position_embeddings": 26}),
    "distilbert": transformers.DistilBertConfig(
        vocab_size=len(WORDS), dim=32, hidden_dim=48, n_layers=3, n_heads=2, max_position_embeddings=24
    ),
    "clip": transformers.CLIPConfig(text_config=SIZES, vision_config=VISION, projection_dim=8),
    "siglip": transformers.SiglipConfig(text_config={**SIZES, "projection_size": 32}, vision_config=VISION),
}


def write_encoder(kind: str, folder: Path, words: Sequence[str] = WORDS) -> Path:
    """Write a model of random weights and its word-level tokenizer; returns the folder."""
    torch.manual_seed(5)
    transformers.AutoModel.from_config(CONFIGS[kind]).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    return folder
