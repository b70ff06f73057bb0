"""What is measured: a model at a size, computed in one way or another."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from hydra.utils import instantiate
from omegaconf import DictConfig
from reference import OVERRIDES, explicit_attention
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from sbanet.config import compose
from sbanet.data.records import Batch
from sbanet.data.vocabulary import words
from sbanet.models.nodes import foreground_logits
from sbanet.training.module import ReferringSegmentation

MODELS = {"sbanet": "sbanet_rrsisd", "lavt": "lavt_rrsisd", "rmsin": "rmsin_rrsisd"}
"""The experiments whose model, loss and optimiser they are."""

BACKBONES = {
    "swin_tiny": "swin_tiny_patch4_window7_224",
    "swin_base": "swin_base_patch4_window12_384",
}
BATCH = 2
"""Of a training step, as in RMSIN's code on each GPU."""
TOKENS = 20


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to compute.

    Attributes:
        overrides: of the config.
        bfloat16: whether products are computed in it.
        explicit: whether attention has its weights in memory, whatever the library.
        like_peers: whether each step waits for its loss, and images are evaluated one by one.
        keeps_memory: whether what one step has freed is kept for the next.
    """

    overrides: tuple[str, ...] = ()
    bfloat16: bool = False
    explicit: bool = False
    like_peers: bool = False
    keeps_memory: bool = True

    def context(self) -> AbstractContextManager[Any]:
        """In which the model is called."""
        stack = ExitStack()
        if self.explicit:
            stack.enter_context(explicit_attention())
        stack.enter_context(torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bfloat16))
        return stack


CHECKPOINTING = "model.backbone.checkpoint_stages=[0,1,2,3]"
WAYS = {
    "reference": Way(overrides=OVERRIDES, explicit=True, like_peers=True, keeps_memory=False),
    "float32": Way(),
    "bf16": Way(bfloat16=True),
    "float32, checkpointing": Way(overrides=(CHECKPOINTING,)),
    "bf16, checkpointing": Way(overrides=(CHECKPOINTING,), bfloat16=True),
}
"""`float32` and `bf16` are ours."""

VARIANTS = {
    "without fused attention": Way(overrides=("model.backbone.fused_attention=false",), explicit=True),
    "without fast linear layers": Way(overrides=("model.fast_linear=false",)),
    "without keeping freed memory": Way(keeps_memory=False),
    "without channels_last": Way(overrides=("model.channels_last=false",)),
    "without early mixing": Way(overrides=("model.decoder.mix_early=false",)),
    "without fused AdamW": Way(overrides=("optim.optimizer.fused=false",)),
    "with checkpointing": Way(overrides=(CHECKPOINTING,)),
}
"""Ours without one of the fast paths, or with less memory."""
OF_FLOAT32 = ("without fast linear layers",)
"""Variants that differ in float32 alone; the others are compared in the fastest numbers of the machine."""


@dataclass
class Built:
    """A model as a run has it, in one way to compute."""

    cfg: DictConfig
    model: Any
    loss: Any
    optimizer: Any
    batches: list[Batch] = field(default_factory=list)


class Case(NamedTuple):
    """A model at a size."""

    model: str
    backbone: str
    image_size: int
    encoder: Path
    more: tuple[str, ...] = ()

    def compose(self, overrides: Sequence[str] = ()) -> DictConfig:
        """The config of a run."""
        settings = [f"experiment={MODELS[self.model]}", "model.backbone.weights=null", "data.root=data"]
        settings += [f"model.backbone.name={BACKBONES[self.backbone]}", f"data.image_size={self.image_size}"]
        settings += [f"model.text_encoder.source={self.encoder}", "model.text_encoder.pretrained=false"]
        if self.model == "rmsin" and self.image_size != 480:
            cells = -(-self.image_size // 32)
            settings += [f"model.aggregator.grid=[{cells},{cells}]", "model.aggregator.layout=intended"]
        return compose("train", [*settings, *self.more, *overrides])

    def build(self, way: Way) -> Built:
        """Random weights."""
        torch.manual_seed(0)
        cfg = self.compose(way.overrides)
        setup, loss = instantiate(cfg.optim), instantiate(cfg.loss)
        task = ReferringSegmentation(model=instantiate(cfg.model), loss=loss, optim=setup, seed=0, config={})
        optimizer, _ = setup.build(task.model.named_parameters(), total_steps=1000)
        return Built(cfg, task.model.train(), loss, optimizer)

    def batch(self, count: int = BATCH, tokens: int = TOKENS, *, channels_last: bool = True) -> Batch:
        """Random numbers of a training batch's shape."""
        generator = torch.Generator().manual_seed(1)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        side = self.image_size
        return Batch(
            image=torch.randn(count, 3, side, side, generator=generator).contiguous(memory_format=layout),
            token_ids=torch.randint(5, 50, (count, tokens), generator=generator),
            token_mask=torch.ones(count, tokens, dtype=torch.bool),
            target=torch.rand(count, side, side, generator=generator) < 0.1,
            records=[],
        )


def training_step(built: Built, way: Way, batch: Batch) -> None:
    """Forward, loss, backward, optimiser."""
    with way.context():
        logits = built.model(batch.image, batch.token_ids, batch.token_mask)
        loss = built.loss(foreground_logits(logits), batch.target)["loss"]
    loss.backward()
    built.optimizer.step()
    built.optimizer.zero_grad(set_to_none=True)
    if way.like_peers:
        loss.item()


def write_encoder(folder: Path) -> Path:
    """A BERT-base of its own size but random weights, with a tokenizer of whole words."""
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words()]
    transformers.BertConfig().save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({word: k for k, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    return folder
