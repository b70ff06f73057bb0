"""How a model learns and is scored: the one LightningModule.

Shape letters: B batch, H W image.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import sbanet
from sbanet.data.records import Batch
from sbanet.errors import ConfigError
from sbanet.models.nodes import foreground_logits
from sbanet.models.resize import logits_at
from sbanet.models.segmenter import ReferringSegmenter
from sbanet.training.metrics import ReferringScores, intersection_and_union
from sbanet.training.optimizers import OptimizerSetup

PROTOCOLS = ("network", "native")
CHECKPOINT_SCHEMA = 2


class EvalOutput(NamedTuple):
    """What a validation or test step hands to the callbacks.

    Attributes:
        logits: (B, H, W) float32 at the network's size.
        predictions: (Hi, Wi) bool masks at the images' own sizes, one a sample.
        intersections: by protocol, (B,) int64.
        unions: by protocol, (B,) int64.
        loss: scalar.
    """

    logits: Tensor
    predictions: list[Tensor]
    intersections: dict[str, Tensor]
    unions: dict[str, Tensor]
    loss: Tensor


class ReferringSegmentation(L.LightningModule):
    """Trains and scores a `ReferringSegmenter`.

    The scores follow two protocols: `network` compares at the network's size (as papers do), `native` resizes the
    logits to the image's own size. Checkpoints carry the config, so that the model can be rebuilt from them.

    Args:
        model: the segmenter.
        loss: `(logits, target) -> {"loss": ..., further terms}`.
        optim: optimiser, schedule and parameter groups.
        seed: of dropout and stochastic depth; each batch reseeds torch from (seed, batch, rank).
        config: the resolved config as plain containers.
    """

    def __init__(
        self,
        *,
        model: ReferringSegmenter,
        loss: nn.Module,
        optim: OptimizerSetup,
        seed: int,
        config: dict[str, Any],
    ) -> None:
        super().__init__()
        self.model = model.to(memory_format=torch.channels_last) if model.channels_last else model
        self.loss = loss
        self.optim = optim
        optim.freeze(model.named_parameters())
        self.seed = seed
        self.config = config
        self.network_scores = ReferringScores()
        self.native_scores = ReferringScores()
        self._compiled: Callable[..., Tensor] | None = None
        self._measured_before: dict[str, float] = {}

    def forward(self, batch: Batch) -> Tensor:
        """A batch -> logits (B, H, W) or, with a two-channel decoder, (B, 2, H, W), whose difference is learned."""
        if self.training and self._compiled is not None:
            # a graph is of one shape: every sentence gets the length of the longest that there can be
            missing = self.model.text_encoder.tokenizer.max_tokens - batch.token_ids.shape[1]
            words = (functional.pad(tokens, (0, missing)) for tokens in (batch.token_ids, batch.token_mask))
            return self._compiled(batch.image, *words, batch.sentences)
        return self.model(batch.image, batch.token_ids, batch.token_mask, batch.sentences)

    def on_fit_start(self) -> None:
        """Compile the model for training steps, where the trainer says so."""
        compiles = getattr(self.trainer, "compiles", False)
        # of its forward, which is a function: a module would be in the checkpoint a second time
        self._compiled = torch.compile(self.model.forward, dynamic=False) if compiles else None

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Make the batch's randomness a function of its place in the run."""
        place = [self.seed, self.current_epoch, batch_idx, self.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of a batch."""
        terms = self.loss(foreground_logits(self(batch)), batch.target)
        self.log_dict({f"train/{name}": term for name, term in self._over_ranks(terms).items()}, batch_size=len(batch))
        rates = [group["lr"] for group in self.optimizers().param_groups]  # type: ignore[union-attr]
        self.log("optim/lr", max(rates))
        return terms["loss"]

    def validation_step(self, batch: Batch, batch_idx: int) -> EvalOutput:  # type: ignore[override]
        """Score a batch of the validation split."""
        return self._evaluate(batch)

    def test_step(self, batch: Batch, batch_idx: int) -> EvalOutput:  # type: ignore[override]
        """Score a batch of the test split."""
        return self._evaluate(batch)

    def on_validation_epoch_end(self) -> None:
        """Log `val/mIoU` and the others of the network protocol, `val_native/mIoU` and the others of the native one."""
        self._log_scores("val")

    def on_test_epoch_end(self) -> None:
        """Log `test/mIoU` and the others."""
        self._log_scores("test")

    def configure_optimizers(self) -> Any:
        """One optimiser over the rules' groups, its schedule stepped once an optimiser step."""
        total_steps = int(self.trainer.estimated_stepping_batches)
        optimizer, schedule = self.optim.build(self.model.named_parameters(), total_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by the global norm, or each value: also what a fused optimiser steps, which Lightning's own refuses.

        Raises:
            ConfigError: the gradients are scaled (float16) until a fused optimiser has them.
        """
        if not gradient_clip_val:
            return
        if getattr(self.trainer.precision_plugin, "scaler", None) is not None:
            try:
                self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
            except RuntimeError as error:
                raise ConfigError(
                    "trainer.precision=16-mixed scales the gradients, so that a fused optimiser cannot clip them; "
                    "choose bf16-mixed, optim.optimizer.fused=false or trainer.gradient_clip_val=null"
                ) from error
        elif gradient_clip_algorithm == "value":
            torch.nn.utils.clip_grad_value_(self.model.parameters(), gradient_clip_val)
        else:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), gradient_clip_val)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what a reader needs to rebuild the model: plain containers only."""
        checkpoint["sbanet"] = {
            "schema": CHECKPOINT_SCHEMA,
            "version": sbanet.__version__,
            "config": self.config,
            "normalisation": {"mean": list(self.model.backbone.mean), "std": list(self.model.backbone.std)},
            "text_encoder_files": getattr(self.model.text_encoder, "files", None),
            "metrics": self.measured(),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Know what was measured before: a run that was killed after its training measures nothing anew."""
        self._measured_before = dict(checkpoint["sbanet"].get("metrics", {}))

    def measured(self) -> dict[str, float]:
        """The last value of each metric, those of the starts before this one among them."""
        return self._measured_before | {name: float(value) for name, value in self.trainer.callback_metrics.items()}

    def _over_ranks(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        """The means over all ranks' parts of a batch, at the steps that are logged; at others, this rank's values."""
        values = torch.stack([term.detach() for term in terms.values()])
        if (self.global_step + 1) % self.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            values = self.trainer.strategy.reduce(values, reduce_op="mean")
        return dict(zip(terms, values, strict=True))

    def _evaluate(self, batch: Batch) -> EvalOutput:
        logits = foreground_logits(self(batch)).float()
        loss = self.loss(logits, batch.target)["loss"]
        network = intersection_and_union(logits > 0, batch.target)
        if batch.native_targets:
            predictions = [
                logits_at(row, target.shape) > 0 for row, target in zip(logits, batch.native_targets, strict=True)
            ]
            pairs = [intersection_and_union(p, t) for p, t in zip(predictions, batch.native_targets, strict=True)]
            native = tuple(torch.stack(parts) for parts in zip(*pairs, strict=True))
        else:
            predictions, native = list(logits > 0), network
        self.network_scores.update(*network)
        self.native_scores.update(*native)
        self.log(
            "val/loss" if not self.trainer.testing else "test/loss",
            loss,
            batch_size=len(batch),
            sync_dist=True,
        )
        return EvalOutput(
            logits=logits,
            predictions=predictions,
            intersections={"network": network[0], "native": native[0]},
            unions={"network": network[1], "native": native[1]},
            loss=loss,
        )

    def _log_scores(self, stage: str) -> None:
        for prefix, metric in ((stage, self.network_scores), (f"{stage}_native", self.native_scores)):
            scores = {f"{prefix}/{name}": value for name, value in metric.compute().items()}
            self.log_dict({name: torch.tensor(value, dtype=torch.float64) for name, value in scores.items()})
            metric.reset()
