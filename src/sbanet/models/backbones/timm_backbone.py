"""Any hierarchical timm model as a stem and four stages, at any image size.

Shape letters: B batch, H W image, `Hi Wi Ci` stage i.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import timm
import torch
from torch import nn

from sbanet.models.backbones.swin_block import change_swin_blocks
from sbanet.models.backbones.timm_stages import STRIDES, cut, prove, stage_ends
from sbanet.models.nodes import NUM_STAGES
from sbanet.models.weights import HUB, WeightsError, asking_the_hub, find_local, hub_failure, read_state_dict

ANY_SIZE: Mapping[str, Any] = {"always_partition": True, "strict_img_size": False}
"""What timm's windowed transformers need in order to take any size with the weights of one."""

WEIGHTS_KEY = "model.backbone.weights"


class TimmBackbone(nn.Module):
    """A timm model, cut into a stem and the stages that end at strides 4, 8, 16 and 32.

    Where to cut is asked of timm (`feature_info`), and the parts are compared with timm's own forward pass when they
    are made: channels, strides and values. Maps are ceil(H / stride) whatever the model: a part that would drop the
    last row of an odd map gets a row of zeros first.

    Args:
        name: a timm model (`convnext_tiny`); with a tag where there are several weights
            (`convnext_tiny.in12k_ft_in1k`).
        weights: None = random, `hub` = those of the name, or a local source: a file, a folder, or
            `package:<module>/<file>`.
        match_weights: how tensors of a local source find the model's: by `name`, or in `order` for a file whose
            names are another project's (the shapes must agree one by one).
        drop_path: stochastic depth of the last block, rising linearly from 0.
        frozen_stages: the first so many stages, and the stem with them, do not learn: neither their weights nor the
            statistics of their norms change. 0 = everything learns.
        frozen_modules: regular expression; modules whose path it is found in (`stages.2.blocks_3.0.conv_dw`) do not
            learn either, wherever they are.
        pad_before_shift: of a Swin: pad maps to whole windows before they are shifted, as the official code and the
            weights of LAVT and RMSIN do; timm shifts first.
        fused_attention: of a Swin: whether windowed attention is computed without its weights in memory, and on a CPU
            without shifted and padded copies of its map; False = as timm does.
        checkpoint_stages: stages whose activations are not kept for the backward pass but computed again, block by
            block (`torch.utils.checkpoint`): less memory for more time, the same gradients.
        architecture: further arguments of timm's constructor (`embed_dim`, `depths`), laid over those of the name.
        mean: what is subtracted from each channel of the image, on the scale 0 to 1; None = as the weights expect.
        std: what each channel is then divided by; None = as the weights expect.

    Raises:
        ValueError: timm has no such model, it cannot be run in stages, a stage is out of range or cannot be
            checkpointed, or `frozen_modules` finds none.
        WeightsError: the weights cannot be had, or do not fit.
    """

    def __init__(
        self,
        *,
        name: str,
        weights: str | None = None,
        match_weights: Literal["name", "order"] = "name",
        drop_path: float = 0.0,
        frozen_stages: int = 0,
        frozen_modules: str | None = None,
        pad_before_shift: bool = False,
        fused_attention: bool = True,
        checkpoint_stages: Sequence[int] = (),
        architecture: Mapping[str, Any] | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= frozen_stages <= NUM_STAGES:
            raise ValueError(f"model.backbone.frozen_stages: got {frozen_stages}, expected 0 to {NUM_STAGES}")
        model = create(name, drop_path, architecture or {}, from_hub=weights == HUB).eval()
        normalisation = model.pretrained_cfg
        ends = stage_ends(model, name)
        self.stem, stages = cut(model, ends)
        self.stages = nn.ModuleList(stages)
        prove(model, ends, self.stem, stages, name)
        change_swin_blocks(self, name, pads_first=pad_before_shift, fused=fused_attention)
        for stage in checkpoint_stages:
            checkpoint(stages, stage, name)
        if weights is not None and weights != HUB:
            source = local_source(weights)
            load(model, self, source, match_weights)
            normalisation = {**normalisation, **described_beside(source)}
        self.channels = [end.channels for end in ends]
        self.strides = list(STRIDES)
        self.mean = tuple(normalisation["mean"] if mean is None else mean)
        self.std = tuple(normalisation["std"] if std is None else std)
        self.frozen: list[nn.Module] = [self.stem, *stages[:frozen_stages]] if frozen_stages else []
        self.frozen += modules_named(self, frozen_modules) if frozen_modules else []
        for part in self.frozen:
            part.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> TimmBackbone:
        """Switch to training; what is frozen stays in evaluation mode, so that its norms keep their statistics."""
        super().train(mode)
        for part in self.frozen:
            part.eval()
        return self


def modules_named(backbone: nn.Module, pattern: str) -> list[nn.Module]:
    """The modules whose path the regular expression is found in.

    Raises:
        ValueError: there is none, or it is no regular expression.
    """
    try:
        found = [module for path, module in backbone.named_modules() if re.search(pattern, path)]
    except re.error as error:
        raise ValueError(f"model.backbone.frozen_modules={pattern}: is no regular expression ({error})") from error
    if not found:
        paths = [path for path, module in backbone.named_modules() if not [*module.children()]]
        raise ValueError(
            f"model.backbone.frozen_modules={pattern}: is in the path of no module; some are {', '.join(paths[-4:])}"
        )
    return found


def checkpoint(stages: Sequence[nn.Module], stage: int, name: str) -> None:
    """Let timm compute a stage's blocks again in the backward pass, in place of keeping what they made.

    Raises:
        ValueError: there is no such stage, or timm cannot do that to it.
    """
    if not 0 <= stage < NUM_STAGES:
        raise ValueError(f"model.backbone.checkpoint_stages: {stage} is no stage; known: 0, 1, 2, 3")
    switches = [module for module in stages[stage].modules() if hasattr(module, "grad_checkpointing")]
    if not switches:
        raise ValueError(f"model.backbone.checkpoint_stages: timm cannot checkpoint the stages of {name}; set []")
    for module in switches:
        module.grad_checkpointing = True  # type: ignore[assignment]


def create(name: str, drop_path: float, architecture: Mapping[str, Any], *, from_hub: bool) -> Any:
    """The timm model, for any image size where its family can.

    Raises:
        ValueError: timm has no such model, or it does not take an argument.
        WeightsError: the hub does not give its weights.
    """
    if not timm.is_model(name):
        similar = get_close_matches(name, timm.list_models(), n=5)
        raise ValueError(
            f"model.backbone.name: timm has no {name!r}" + f"; similar: {', '.join(similar)}" * bool(similar)
        )
    options: dict[str, Any] = {"num_classes": 0, "pretrained": from_hub, **architecture}
    if drop_path:
        options["drop_path_rate"] = drop_path
    try:
        with asking_the_hub(f"timm/{name}") if from_hub else nullcontext():
            return _create(name, options)
    except TypeError as error:
        if "drop_path_rate" in str(error):
            raise ValueError(
                f"model.backbone.drop_path={drop_path}: timm's {name} has no stochastic depth; set 0"
            ) from error
        if unknown := [argument for argument in architecture if f"'{argument}'" in str(error)]:
            raise ValueError(
                f"model.backbone.architecture: timm's {name} takes no {', '.join(unknown)}; remove it"
            ) from error
        raise
    except Exception as error:  # of any kind: downloads fail in many ways
        if not from_hub:
            raise
        raise hub_failure(f"timm's {name}", error, key=WEIGHTS_KEY, download=f"timm/{name}") from error


def _create(name: str, options: Mapping[str, Any]) -> Any:
    try:
        return timm.create_model(name, **options, **ANY_SIZE)
    except TypeError as error:  # of a constructor that knows no such option; nothing has been built yet
        if not any(option in str(error) for option in ANY_SIZE):
            raise
        return timm.create_model(name, **options)


def local_source(weights: str) -> Path:
    """The file or folder of `weights`.

    Raises:
        WeightsError: there is none.
    """
    source = find_local(weights, key=WEIGHTS_KEY)
    if source is None:
        raise WeightsError(
            f"{WEIGHTS_KEY}={weights}: no such file or folder; expected one, null (random), {HUB}, "
            "or package:<module>/<file>"
        )
    return source


def load(model: Any, kept: nn.Module, source: Path, match_by: Literal["name", "order"]) -> None:
    """Give a timm model the weights of a file: strictly, but for its head.

    Args:
        model: the whole model.
        kept: the parts of it that are used; all other modules are its head.
        source: a file or folder.
        match_by: see `TimmBackbone`.

    Raises:
        WeightsError: the file cannot be read, or a weight is missing, left over or of another shape.
    """
    weights = read_state_dict(source, key=WEIGHTS_KEY)
    used = {tensor.data_ptr() for tensor in kept.state_dict().values()}
    own = {key: tensor for key, tensor in model.state_dict().items() if tensor.data_ptr() in used}
    needed = [key for key in own if not key.endswith("num_batches_tracked")]
    if match_by == "order":
        given = [tensor for key, tensor in weights.items() if not key.endswith("num_batches_tracked")]
        weights = dict(zip(needed, given, strict=False))
    else:
        # each of timm's model files has such a function for weights as their authors published them
        convert = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
        weights = weights if convert is None else convert(weights, model)
    body = {key.partition(".")[0] for key in own}
    misfits = [
        *(f"{key} is missing" for key in needed if key not in weights),
        *(f"{key} is left over" for key in weights if key not in own and key.partition(".")[0] in body),
        *(
            f"{key} has shape {tuple(weights[key].shape)}, expected {tuple(own[key].shape)}"
            for key in needed
            if key in weights and weights[key].shape != own[key].shape
        ),
    ]
    if misfits:
        raise WeightsError(
            f"{WEIGHTS_KEY}={source}: are not those of the configured model: {'; '.join(misfits[:3])}"
            + f" and {len(misfits) - 3} more" * (len(misfits) > 3)
        )
    with torch.no_grad():
        for key in needed:
            own[key].copy_(weights[key])


def described_beside(source: Path) -> dict[str, Any]:
    """`mean` and `std` of the config that timm puts beside weights; nothing where there is none."""
    config = (source if source.is_dir() else source.parent) / "config.json"
    if not config.is_file():
        return {}
    try:
        described = json.loads(config.read_text(encoding="utf-8")).get("pretrained_cfg", {})
        return {name: described[name] for name in ("mean", "std") if name in described}
    except (OSError, ValueError, AttributeError) as error:
        raise WeightsError(f"{WEIGHTS_KEY}={source}: its config.json cannot be read ({error})") from error
