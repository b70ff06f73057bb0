"""What the official code of LAVT and RMSIN calls the weights of our nodes."""

from __future__ import annotations

import re

_FUSION = {
    "visual_projection": "vis_project.0",
    "query": "image_lang_att.f_query.0",
    "key": "image_lang_att.f_key.0",
    "value": "image_lang_att.f_value.0",
    "attended_projection": "image_lang_att.W.0",
    "fusion_projection": "project_mm.0",
}
_LEVEL = {"0": "conv1", "1": "bn1", "3": "conv2", "4": "bn2"}

_RULES: tuple[tuple[str, str], ...] = (
    (r"text_encoder\.encoder\.(.+)", r"text_encoder.\1"),
    (r"backbone\.stem\.(.+)", r"backbone.\1"),
    (r"backbone\.stages\.(\d)\.layers_\d\.blocks\.(.+)", r"backbone.layers.\1.blocks.\2"),
    (r"alignments\.(\d)\.norm\.(.+)", r"backbone.norm\1.\2"),
    (r"alignments\.(\d)\.gate\.(.+)", r"backbone.layers.\1.res_gate.\2"),
    *(
        (rf"alignments\.(\d)\.{ours}\.(.+)", rf"backbone.layers.\1.fusion.{theirs}.\2")
        for ours, theirs in _FUSION.items()
    ),
    (r"decoder\.classifier\.(.+)", r"classifier.conv1_1.\1"),
)

IGNORED = re.compile(r"relative_position_index$|attn_mask$|^text_encoder\.(embeddings\.position_ids$|pooler\.)")
"""What files of other library versions hold beside the weights, by official name."""


def official_name(name: str) -> str | None:
    """What the official code calls a weight of ours; None if it has none of the kind.

    Args:
        name: a key of the `state_dict` of a `ReferringSegmenter` made of the baselines' nodes.
    """
    if merging := re.fullmatch(r"backbone\.stages\.(\d)\.layers_\d\.downsample\.(.+)", name):
        # theirs ends a stage with the merging that ours begins the next one with
        return f"backbone.layers.{int(merging[1]) - 1}.downsample.{merging[2]}"
    if level := re.fullmatch(r"decoder\.levels\.(\d)\.(\d)\.(.+)", name):
        return f"classifier.{_LEVEL[level[2]]}_{4 - int(level[1])}.{level[3]}"
    for pattern, theirs in _RULES:
        if found := re.fullmatch(pattern, name):
            return found.expand(theirs)
    return None
