"""Parameter groups by name, and the optimiser with its schedule.

Every parameter belongs to the first rule whose pattern is found in its name: the trainable ones are in its group, and
where a rule says that its parameters do not learn, none is trainable.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from sbanet.errors import ConfigError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRule:
    r"""Which parameters, and how they learn.

    Attributes:
        pattern: regular expression, searched in the parameter's name (`backbone.stages.0...`).
        lr_scale: factor on the peak learning rate.
        layer_decay: a further factor for each layer before the last one, as fine-tuning of pretrained encoders wants
            (Clark et al., ELECTRA, ICLR 2020). The pattern's groups number the layers, as in
            `^backbone\.(?:stem|stages\.(\d+))`; what they leave out comes first. 1 = all layers alike.
        weight_decay: of all its parameters, biases and norms like any other; None = the setup's, but for what that
            does not decay.
        learns: False = its parameters keep their values: no optimiser has them, and no gradient is computed for them.
            Their dropout stays as it is.
    """

    pattern: str
    lr_scale: float = 1.0
    layer_decay: float = 1.0
    weight_decay: float | None = None
    learns: bool = True

    def __post_init__(self) -> None:
        """Check what only a config can get wrong.

        Raises:
            ConfigError: a decay outside (0, 1], or one without anything that numbers the layers.
        """
        if not 0 < self.layer_decay <= 1:
            raise ConfigError(f"optim.groups: layer_decay={self.layer_decay}, expected above 0 and up to 1")
        if self.layer_decay < 1 and not re.compile(self.pattern).groups:
            raise ConfigError(
                f"optim.groups: layer_decay={self.layer_decay} needs a group in the pattern {self.pattern!r} that "
                r"numbers the layers, as (\d+)"
            )


def layer_of(parameter_name: str, rule: GroupRule) -> tuple[int, ...]:
    """The number, or numbers, of the layer that a parameter is in; in their order, layers come in theirs.

    No method of the rule: where a config holds rules, Hydra passes their fields on, without the class.
    """
    found = re.search(rule.pattern, parameter_name)
    numbers = found.groups() if found and rule.layer_decay < 1 else ()
    return tuple(-1 if number is None else int(number) for number in numbers)


class OptimizerSetup:
    """What `configure_optimizers` needs, from the config.

    Args:
        lr: peak learning rate.
        weight_decay: decoupled, as in AdamW.
        optimizer: completed by `(param_groups)`.
        schedule: completed by `(optimizer, total_steps=, warmup_steps=)`.
        groups: rules by group name, in order; the first match takes the parameter. None switches a rule off.
        no_decay: regular expression; what it finds, and every parameter of one dimension or none, is not decayed,
            unless its rule has a weight decay of its own.
        warmup: length of the warm-up as a share of all steps.
    """

    def __init__(
        self,
        *,
        lr: float,
        weight_decay: float,
        optimizer: Callable[..., Optimizer],
        schedule: Callable[..., LRScheduler],
        groups: Mapping[str, GroupRule | None],
        no_decay: str,
        warmup: float,
    ) -> None:
        self.lr = lr
        self.weight_decay = weight_decay
        self.optimizer = optimizer
        self.schedule = schedule
        self.groups = {name: rule for name, rule in groups.items() if rule is not None}
        self.no_decay = re.compile(no_decay)
        self.warmup = warmup

    def build(self, parameters: Iterable[tuple[str, nn.Parameter]], total_steps: int) -> tuple[Optimizer, LRScheduler]:
        """The optimiser over the trainable ones of the named parameters, and its schedule."""
        optimizer = self.optimizer(self.parameter_groups(parameters))
        warmup_steps = round(self.warmup * total_steps)
        return optimizer, self.schedule(optimizer, total_steps=total_steps, warmup_steps=warmup_steps)

    def freeze(self, parameters: Iterable[tuple[str, nn.Parameter]]) -> None:
        """Let the named parameters whose rules say so learn nothing; DDP must know before it wraps the model.

        Raises:
            ConfigError: a rule against learning that finds no parameter.
        """
        idle = {name for name, rule in self.groups.items() if not rule.learns}
        for parameter_name, parameter in parameters:
            name = self._rule_of(parameter_name)
            if name is not None and not self.groups[name].learns:
                parameter.requires_grad_(False)
                idle.discard(name)
        self._refuse_idle(sorted(idle), "parameter")

    def parameter_groups(self, parameters: Iterable[tuple[str, nn.Parameter]]) -> list[dict[str, Any]]:
        """Groups for the optimiser: disjoint, complete, each split in decayed and not decayed unless its rule decides.

        Raises:
            ConfigError: a trainable parameter that no rule finds, or a rule that finds none.
        """
        members: dict[str, list[tuple[str, nn.Parameter]]] = {name: [] for name in self.groups}
        for parameter_name, parameter in parameters:
            if parameter.requires_grad:
                name = self._rule_of(parameter_name)
                if name is None:
                    raise ConfigError(
                        f"optim.groups: no rule finds the parameter {parameter_name}; "
                        "add a rule, as rest: {pattern: '.*'}"
                    )
                members[name].append((parameter_name, parameter))
        members = {name: found for name, found in members.items() if self.groups[name].learns}
        self._refuse_idle([name for name, found in members.items() if not found], "trainable parameter")
        groups = []
        for name, found in members.items():
            rule = self.groups[name]
            layers = sorted({layer_of(key, rule) for key, _ in found})
            for number, layer in enumerate(layers):
                of_layer = [(key, parameter) for key, parameter in found if layer_of(key, rule) == layer]
                title = f"{name}.{number}" if len(layers) > 1 else name
                lr = self.lr * rule.lr_scale * rule.layer_decay ** (len(layers) - 1 - number)
                if rule.weight_decay is None:
                    groups += self._split(title, of_layer, lr)
                else:
                    groups.append(_group(title, of_layer, lr, rule.weight_decay))
        return groups

    def _split(self, title: str, found: list[tuple[str, nn.Parameter]], lr: float) -> list[dict[str, Any]]:
        """One group of what is decayed and one of what is not, each where there is any."""
        groups = []
        for suffix, decay in (("", self.weight_decay), (".no_decay", 0.0)):
            chosen = [(key, parameter) for key, parameter in found if self._is_free(key, parameter) == bool(suffix)]
            if chosen:
                groups.append(_group(title + suffix, chosen, lr, decay))
        return groups

    @staticmethod
    def _refuse_idle(names: list[str], what: str) -> None:
        if names:
            raise ConfigError(
                f"optim.groups: {', '.join(names)} match no {what} that an earlier rule left; "
                "correct the pattern or set the group to null"
            )

    def _rule_of(self, parameter_name: str) -> str | None:
        return next((name for name, rule in self.groups.items() if re.search(rule.pattern, parameter_name)), None)

    def _is_free(self, parameter_name: str, parameter: nn.Parameter) -> bool:
        return parameter.ndim <= 1 or self.no_decay.search(parameter_name) is not None


def _group(title: str, found: list[tuple[str, nn.Parameter]], lr: float, weight_decay: float) -> dict[str, Any]:
    logger.debug("group %s: %d tensors", title, len(found))
    return {"name": title, "params": [parameter for _, parameter in found], "lr": lr, "weight_decay": weight_decay}
