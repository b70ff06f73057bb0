"""The model: an image and a sentence in, one logit a pixel out. The composition of the five nodes.

Shape letters: B batch, H W image, `Hi Wi Ci` stage i (strides 4, 8, 16, 32), T tokens, D text width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from sbanet.models.alignment.none import NoAlignment
from sbanet.models.linear import use_fast_linear
from sbanet.models.nodes import NUM_STAGES, Words
from sbanet.models.resize import resize_logits

if TYPE_CHECKING:
    import numpy as np


class ReferringSegmenter(nn.Module):
    """Segments the one thing that a sentence means.

    The backbone runs stage by stage; after each stage an alignment lets the pixels and the words meet.
    What they agree on is collected by the aggregator and turned into a mask by the decoder.

    Args:
        backbone: publishes `channels` and `strides`, and the `mean` and `std` of its images' channels; is called as
            `stem(image)` and `stages[i](x)`.
        text_encoder: `(token_ids_BT, token_mask_BT) -> Words`; publishes `width` and `tokenizer`.
        alignment: completed once a stage by `(channels=Ci, width=D, stage=i)`.
        aggregator: completed by `(channels=[C0, .., C3], width=D)`.
        decoder: completed by `(channels=[C0, .., C3])`.
        positions: optional, completed by `(channels=[C0, .., C3], stages=)`; adds coordinates before an alignment.
        alignment_stages: the stages that are aligned; at the others words and pixels do not meet.
        align_corners: how the stride-4 logits are resized to the image (True in LAVT and RMSIN).
        channels_last: whether the numbers of a pixel lie side by side in memory, which convolutions are faster with;
            their weights too where `ReferringSegmentation` has the model.
        fast_linear: whether linear layers are computed as convolutions on processors where these are faster.

    Raises:
        ValueError: if the backbone does not publish four stages, or `alignment_stages` names another one.
    """

    backbone: Any  # modules; what they publish beyond that is checked in `published_contract`
    text_encoder: Any

    def __init__(
        self,
        *,
        backbone: nn.Module,
        text_encoder: nn.Module,
        alignment: Callable[..., nn.Module],
        aggregator: Callable[..., nn.Module],
        decoder: Callable[..., nn.Module],
        positions: Callable[..., nn.Module] | None = None,
        alignment_stages: Sequence[int] = (0, 1, 2, 3),
        align_corners: bool = False,
        channels_last: bool = True,
        fast_linear: bool = True,
    ) -> None:
        super().__init__()
        channels, width = published_contract(backbone, text_encoder)
        unknown = set(alignment_stages) - set(range(NUM_STAGES))
        if unknown:
            raise ValueError(f"model.alignment_stages: {sorted(unknown)} are no stages; known: 0, 1, 2, 3")
        self.backbone = backbone
        self.text_encoder = text_encoder
        self.alignment_stages = frozenset(alignment_stages)
        self.first_of_each_sentence = min(alignment_stages, default=NUM_STAGES - 1)
        self.positions = positions(channels=channels, stages=self.alignment_stages) if positions is not None else None
        self.alignments = nn.ModuleList(
            (alignment if stage in alignment_stages else NoAlignment)(
                channels=channels[stage], width=width, stage=stage
            )
            for stage in range(NUM_STAGES)
        )
        self.aggregator = aggregator(channels=channels, width=width)
        self.decoder = decoder(channels=channels)
        self.align_corners = align_corners
        self.preprocessing: Callable[[np.ndarray], Tensor] | None = None  # known when loaded from a checkpoint
        self.reads_words = any(getattr(node, "reads_words", True) for node in (*self.alignments, self.aggregator))
        if not self.reads_words:
            self.text_encoder.requires_grad_(False)
        self.channels_last = channels_last
        if fast_linear:
            use_fast_linear(self)

    def forward(
        self, image_ICHW: Tensor, token_ids_BT: Tensor, token_mask_BT: Tensor, sentences: Sequence[int] | None = None
    ) -> Tensor:
        """Score every pixel.

        Args:
            image_ICHW: normalised float images of any size; what comes before the first alignment is computed once for
                the rows that share one.
            token_ids_BT: int64 ids from `text_encoder.tokenizer`.
            token_mask_BT: bool, True = a real token; at least one a row.
            sentences: how many rows are those of each image, in turn; None = as many of each.

        Returns:
            Logits (B, H, W), positive = referred; (B, 2, H, W) if the decoder has two outputs.

        Raises:
            ValueError: the images do not have B sentences.
        """
        words: Words = self.text_encoder(token_ids_BT, token_mask_BT)
        counts = sentences_per_image(image_ICHW, token_ids_BT, sentences)
        visual: Tensor = self.backbone.stem(image_ICHW)
        fused: list[Tensor] = []
        for stage in range(NUM_STAGES):
            visual = self.backbone.stages[stage](visual)
            if stage == self.first_of_each_sentence:
                visual, *fused = (repeat_rows(features, counts) for features in (visual, *fused))
            if self.positions is not None and stage in self.alignment_stages:
                visual = self.positions(visual, stage)
            aligned = self.alignments[stage](visual, words)
            require_shape(f"model.alignment: `visual` of stage {stage}", aligned.visual, visual)
            require_shape(f"model.alignment: `fused` of stage {stage}", aligned.fused, visual)
            visual, words = aligned.visual, aligned.words
            fused.append(aligned.fused if self.channels_last else aligned.fused.contiguous())
        aggregated = self.aggregator(fused, words)
        for stage in range(NUM_STAGES):
            require_shape(f"model.aggregator: the map of stage {stage}", aggregated[stage], fused[stage])
        logits = self.decoder(aggregated)
        return resize_logits(logits, image_ICHW.shape[-2:], align_corners=self.align_corners)

    def input_format(self) -> dict[str, Any]:
        """What data must be made with for this model: the `tokenizer`, and `mean` and `std` of the image's channels."""
        return {"tokenizer": self.text_encoder.tokenizer, "mean": self.backbone.mean, "std": self.backbone.std}

    @classmethod
    def from_checkpoint(cls, path: str | Path, **options: Any) -> ReferringSegmenter:
        """Rebuild the model that a checkpoint of this project describes; see `sbanet.inference`."""
        from sbanet.inference import load_segmenter

        return load_segmenter(path, **options)

    def predict(self, image: np.ndarray | str | Path, expression: str, **options: Any) -> np.ndarray:
        """The mask (H, W) bool of what the sentence means, at the image's own size; see `sbanet.inference`."""
        from sbanet.inference import predict

        return predict(self, image, expression, **options).mask


def sentences_per_image(image_ICHW: Tensor, token_ids_BT: Tensor, sentences: Sequence[int] | None) -> Sequence[int]:
    """How many rows each image has; as many each unless it is said.

    Raises:
        ValueError: they are not B together, or B is no multiple of I where it is not said.
    """
    images, rows = len(image_ICHW), len(token_ids_BT)
    if sentences is None:
        if rows % images:
            raise ValueError(f"{rows} sentences to {images} images: expected one or as many to each image")
        return [rows // images] * images
    if len(sentences) != images or sum(sentences) != rows:
        raise ValueError(f"sentences={list(sentences)}: expected one number for each of {images} images, {rows} in all")
    return sentences


def repeat_rows(features_ICHW: Tensor, times: Sequence[int]) -> Tensor:
    """(I, C, H, W) -> (B, C, H, W), each row so often in turn; channels last in memory stay so."""
    if all(count == 1 for count in times):
        return features_ICHW
    if not features_ICHW.is_contiguous(memory_format=torch.channels_last):
        return _repeat_first(features_ICHW, times)
    return _repeat_first(features_ICHW.permute(0, 2, 3, 1), times).permute(0, 3, 1, 2)


def _repeat_first(rows: Tensor, times: Sequence[int]) -> Tensor:
    if len(set(times)) == 1:
        return rows.repeat_interleave(times[0], dim=0)
    # views side by side: unlike those of an index, their gradients are added up in one order on GPUs, too
    return torch.cat([row.expand(count, *row.shape[1:]) for row, count in zip(rows.split(1), times, strict=True)])


def published_contract(backbone: Any, text_encoder: Any) -> tuple[list[int], int]:
    """The channels of the four stages and the text width; what all other nodes are built for.

    Raises:
        ValueError: if the backbone's contract is not that of four stages at strides 4, 8, 16, 32.
    """
    channels, strides = list(backbone.channels), list(backbone.strides)
    if strides != [4, 8, 16, 32] or len(channels) != NUM_STAGES:
        raise ValueError(
            f"model.backbone: {type(backbone).__name__} publishes channels {channels} at strides {strides}; "
            "expected four stages at strides [4, 8, 16, 32]"
        )
    return channels, int(text_encoder.width)


def require_shape(what: str, came: Tensor, expected: Tensor) -> None:
    """Refuse a node that does not preserve a shape.

    Raises:
        ValueError: with the shapes of both sides.
    """
    if came.shape != expected.shape:
        raise ValueError(f"{what} has shape {tuple(came.shape)}, expected {tuple(expected.shape)} as it came in")
