"""What the official code of LAVT and RMSIN calls the weights of our nodes."""

from __future__ import annotations

import re
from collections.abc import Mapping

Names = Mapping[str, str]
"""Modules of a node of ours -> those of the official node; what follows (`.weight`) is called the same."""

IGNORED = re.compile(r"relative_position_index$|attn_mask$|^text_encoder\.(embeddings\.position_ids$|pooler\.)")
"""What files of other library versions hold beside the weights, by official name."""


def official_name(name: str) -> str | None:
    """What the official code calls a weight of ours; None if it has none of the kind.

    Args:
        name: a key of the `state_dict` of a `ReferringSegmenter` made of the baselines' nodes.
    """
    node, _, rest = name.partition(".")
    if node == "text_encoder":
        return rest.replace("encoder.", "text_encoder.", 1)
    if node == "backbone":
        return _of_swin(rest)
    if node == "alignments":
        stage, _, rest = rest.partition(".")
        if rest.startswith("norm."):
            return f"backbone.norm{stage}.{rest.removeprefix('norm.')}"
        return _renamed(rest, ALIGNMENT, f"backbone.layers.{stage}")
    if node == "aggregator":
        return _renamed(rest, AGGREGATOR, "backbone.cim")
    if node == "decoder":
        return _renamed(rest, DECODER, "classifier")
    return None


def _of_swin(name: str) -> str | None:
    part, _, rest = name.partition(".")
    if part == "stem":
        return f"backbone.{rest}"
    found = re.fullmatch(r"(\d)\.layers_\d\.(.+)", rest)
    if not found:
        return None
    stage, rest = int(found[1]), found[2]
    # theirs ends a stage with the merging that ours begins the next one with
    return f"backbone.layers.{stage - rest.startswith('downsample.')}.{rest}"


def _renamed(name: str, names: Names, node: str) -> str | None:
    """The longest module of the node that the name begins with decides."""
    ours = max((module for module in names if name.startswith(f"{module}.")), key=len, default=None)
    return None if ours is None else f"{node}.{names[ours]}{name.removeprefix(ours)}"


def _below(ours: str, theirs: str, names: Names) -> dict[str, str]:
    return {f"{ours}.{own}": f"{theirs}.{official}" for own, official in names.items()}


def _receptive_fields(suffix: str) -> Names:
    return {
        "point.0": f"brb_1x1{suffix}.conv",
        "point.1": f"brb_1x1{suffix}.bn",
        "window.0": f"brb_3x3{suffix}.conv1",
        "window.1": f"brb_3x3{suffix}.bn1",
        "window.2": f"brb_3x3{suffix}.conv2",
        "window.3": f"brb_3x3{suffix}.bn2",
        "identity": f"brb_identity{suffix}",
    }


ALIGNMENT: Names = {
    "visual_projection": "fusion.vis_project.0",
    "query": "fusion.image_lang_att.f_query.0",
    "key": "fusion.image_lang_att.f_key.0",
    "value": "fusion.image_lang_att.f_value.0",
    "attended_projection": "fusion.image_lang_att.W.0",
    "fusion_projection": "fusion.project_mm.0",
    "gate": "res_gate",
    "visual_gate": "visual_gate",
    **_below("visual_branch.first", "visual_residual.repblock", _receptive_fields("")),
    **_below("visual_branch.second", "visual_residual.repblock", _receptive_fields("_2")),
}
"""Of a stage's alignment, but for its output norm."""

_ATTENTION: Names = {
    "norm": "bn1",
    "at_half": "DWConv1",
    "at_third": "DWConv2",
    "qkv": "attention.qkv.c",
    "qkv_norm": "attention.qkv.bn",
    "local": "attention.parallel_conv.1",
    "position_mix": "attention.proj",
    "output": "attention.to_out",
    "output_norm": "bn4",
    "output_projection": "conv",
}
_FEED_FORWARD: Names = {"norm": "bn1", "widen": "conv1", "wide_norm": "bn2", "filter": "conv2", "narrow": "conv3"}
_GATE: Names = {
    "local.0": "local_embedding",
    "local.1": "bn1",
    "context.0": "global_embedding",
    "context.1": "bn2",
    "importance.0": "global_act",
    "importance.1": "bn3",
}
_BLOCK = "block.0"

AGGREGATOR: Names = {
    "reduce": "down_channel",
    "restore": "up_channel",
    "norm": "bn",
    **_below("first_attention", f"{_BLOCK}.csa1.m", _ATTENTION),
    **_below("second_attention", f"{_BLOCK}.csa2.m", _ATTENTION),
    **_below("feed_forward", f"{_BLOCK}.ff.m", _FEED_FORWARD),
    **{
        ours: theirs
        for scale in range(4)
        for ours, theirs in (
            _below(f"scale_feed_forwards.{scale}", f"{_BLOCK}.intra_ff.m.ff{scale + 1}.m", _FEED_FORWARD)
            | _below(f"gates.{scale}", f"fusion.{scale}", _GATE)
        ).items()
    },
}

DECODER: Names = {
    "classifier": "conv1_1",
    **{
        f"levels.{level}.{ours}": theirs.format(4 - level)
        for level in range(3)
        for ours, theirs in {
            "0": "conv1_{}",
            "1": "bn1_{}",
            "3": "conv2_{}",
            "3.routing.depthwise": "conv2_{}.rounting_func.dwc",
            "3.routing.norm": "conv2_{}.rounting_func.norm.norm",
            "3.routing.scale": "conv2_{}.rounting_func.fc_alpha",
            "3.routing.angle": "conv2_{}.rounting_func.fc_theta",
            "4": "bn2_{}",
        }.items()
    },
}
