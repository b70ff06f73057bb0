"""Cutting a timm model into a stem and stages, and proving that the parts do what the whole does.

Shape letters: B batch, H W image, `Hi Wi Ci` stage i.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sbanet.models.backbones.padding import pad_to_multiple

STRIDES = [4, 8, 16, 32]

PROBE = (64, 96)
"""Height and width of the image that the parts are compared on; of unlike sides, to tell rows from channels."""

ODD = 9
"""Side of the maps that a part is asked for when its padding is found out."""


class StageEnd(NamedTuple):
    """The module that ends a stage, as timm names it, and its channels."""

    module: str
    channels: int


class Part(nn.Sequential):
    """Modules of a timm model that run one after the other, between channels-first maps of ceil(side / stride).

    What it needs for that is found out by `prove`.

    Attributes:
        takes_channels_last: whether the first module wants (B, H, W, C).
        returns_channels_last: whether the last one returns that.
        stride: rows in for a row out.
        pad_to: both sides of the incoming map are made multiples of this.
        least: and no less than this; what the padding adds is cut off again.
    """

    def __init__(self, modules: OrderedDict[str, nn.Module]) -> None:
        super().__init__(modules)
        self.takes_channels_last = False
        self.returns_channels_last = False
        self.stride = 1
        self.pad_to = 1
        self.least = 1

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, Ci, Hi, Wi)."""
        height, width = features_BCHW.shape[-2:]
        features = pad_to_multiple(features_BCHW, self.pad_to)
        if min(height, width) < self.least:
            features = F.pad(features, (0, max(0, self.least - width), 0, max(0, self.least - height)))
        features = super().forward(features.permute(0, 2, 3, 1) if self.takes_channels_last else features)
        features = features.permute(0, 3, 1, 2) if self.returns_channels_last else features
        if min(height, width) < self.least:
            features = features[..., : -(-height // self.stride), : -(-width // self.stride)]
        return features


def stage_ends(model: Any, name: str) -> list[StageEnd]:
    """Where each stage ends, by timm's own `feature_info`: the last module at each stride.

    Raises:
        ValueError: the model has no features at one of the strides.
    """
    published = {info["reduction"]: StageEnd(info["module"], info["num_chs"]) for info in model.feature_info}
    if missing := [stride for stride in STRIDES if stride not in published]:
        raise ValueError(
            f"model.backbone.name: timm's {name} has features at strides {sorted(published)}, none at {missing}; "
            f"expected a hierarchical model with {STRIDES}, as swin_tiny_patch4_window7_224 or convnext_tiny"
        )
    return [published[stride] for stride in STRIDES]


def cut(model: Any, ends: Sequence[StageEnd]) -> tuple[Part, list[Part]]:
    """The stem and the stages of a timm model; its modules after the last stage are left out.

    The stem is what comes before the container that the first stage stands in, or before the first stage.
    """
    container = ends[0].module.rpartition(".")[0]
    groups: list[OrderedDict[str, nn.Module]] = [OrderedDict() for _ in range(1 + len(ends))]
    current = 0
    for path, module in flattened(model, [end.module for end in ends]):
        if current == 0 and path.startswith(f"{container}." if container else ends[0].module):
            current = 1
        groups[current][path.replace(".", "_")] = module
        if current and path == ends[current - 1].module:
            current += 1
        if current > len(ends):
            break
    stem, *stages = [Part(modules) for modules in groups]
    return stem, stages


def flattened(module: nn.Module, ends: Sequence[str], prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The children of a module by path; in place of one that holds an end, its own children."""
    for name, child in module.named_children():
        path = prefix + name
        if any(end.startswith(f"{path}.") for end in ends):
            yield from flattened(child, ends, f"{path}.")
        else:
            yield path, child


@torch.no_grad()
def prove(model: Any, ends: Sequence[StageEnd], stem: Part, stages: Sequence[Part], name: str) -> None:
    """Fit the parts to maps of any size, and compare them with timm's own forward pass.

    Args:
        model: in evaluation mode, as its parts.
        ends: what timm publishes of each stage.
        stem: cut from the model.
        stages: cut from the model.
        name: of the model, for messages.

    Raises:
        ValueError: channels, strides or values differ: the model does more than its modules one after the other.
    """
    height, width = PROBE
    image = torch.linspace(-1, 1, 3 * height * width).view(1, 3, height, width)
    try:
        features = own_features(model, [end.module for end in ends], image)
        visual, channels_last = fit(stem, image, channels_last=False), stem.returns_channels_last
        for part, end, stride in zip(stages, ends, STRIDES, strict=True):
            visual, channels_last = fit(part, visual, channels_last=channels_last), part.returns_channels_last
            expected = (1, end.channels, height // stride, width // stride)
            own = features[end.module]
            own = own.permute(0, 3, 1, 2) if channels_last else own
            if visual.shape != expected:
                raise ValueError(f"{end.module} has shape {tuple(visual.shape)}, timm publishes {expected}")
            if own.shape != visual.shape or not torch.allclose(visual, own, rtol=1e-3, atol=1e-4):
                raise ValueError(f"{end.module} returns something else in timm's own forward pass")
    except Exception as error:  # of any kind: what the modules of a model raise where they do not fit together
        reason = " ".join(str(error).split())[:160]
        raise ValueError(
            f"model.backbone.name: timm's {name} cannot be run in stages at any image size ({reason}); "
            "choose another one, as convnext_tiny"
        ) from error


def own_features(model: Any, ends: Sequence[str], image_BCHW: Tensor) -> dict[str, Tensor]:
    """What the modules that end the stages return in timm's own forward pass, by module."""
    features: dict[str, Tensor] = {}

    def keep(end: str, output: Tensor) -> None:
        features[end] = output

    hooks = [
        model.get_submodule(end).register_forward_hook(lambda _module, _inputs, output, end=end: keep(end, output))
        for end in ends
    ]
    try:
        model.forward_features(image_BCHW)
    finally:
        for hook in hooks:
            hook.remove()
    return features


def fit(part: Part, features_BCHW: Tensor, *, channels_last: bool) -> Tensor:
    """Find out a part's layout, stride and padding, and return what it makes of a map.

    Raises:
        ValueError: its maps are not ceil(side / stride), whatever the padding.
    """
    part.takes_channels_last = channels_last
    output = part(features_BCHW)
    height, width = PROBE
    if output.shape[-2] * width != output.shape[-1] * height:
        part.returns_channels_last = True
        output = output.permute(0, 3, 1, 2)
    part.stride = features_BCHW.shape[-1] // output.shape[-1]

    whole = ODD * part.stride
    if side_of(part, features_BCHW, whole) != ODD:
        raise ValueError(f"a map of {whole} rows does not become one of {ODD}")
    if any(side_of(part, features_BCHW, whole - missing) != ODD for missing in range(1, part.stride)):
        part.pad_to = part.stride
    while part.least < PROBE[0] and side_of(part, features_BCHW, 1) != 1:
        part.least *= 2
    return output


def side_of(part: Part, like_BCHW: Tensor, side: int) -> int:
    """The side of what a part makes of a square map, 0 where it refuses."""
    try:
        return part(like_BCHW.new_zeros(1, like_BCHW.shape[1], side, side)).shape[-1]
    except (RuntimeError, AssertionError):
        return 0
