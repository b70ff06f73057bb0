import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Optional, Protocol, Union

import pytest
from omegaconf import OmegaConf
from torch import nn

from sbanet.config.annotations import described, evaluated_annotation, fits


class Scorer(Protocol):
    def score(self) -> float: ...


NODE = OmegaConf.create({"_target_": "torch.nn.ReLU"})

FITTING = [
    (3, int),
    (3, float),
    (0.5, float),
    (True, bool),
    ("a", str),
    (None, None),
    (None, int | None),
    ("both", Literal["both", "macro"]),
    ("auto", Union[int, str]),  # noqa: UP007
    (OmegaConf.create([1, 2]), Sequence[int]),
    (OmegaConf.create([1, 2]), list[int] | int),
    (OmegaConf.create([0.9, 0.99]), tuple[float, float]),
    (OmegaConf.create([1, 2, 3]), tuple[int, ...]),
    (OmegaConf.create({"a": 1}), dict[str, int]),
    (OmegaConf.create({"a": 1}), Mapping[str, Any]),
    (NODE, nn.Module),
    (NODE, Callable[..., nn.Module]),
    ("runs/x", Path),
    ("runs/x", str | Path | None),
    ("anything", Any),
    ("anything", "a name that is not evaluated"),
    ("anything", Scorer),
]

MISFITS = [
    ("abc", int),
    (2.5, int),
    (True, int),
    (True, float),
    ("0.1", float),
    (1, bool),
    ("yes", bool),
    (3, str),
    (None, int),
    ("bth", Literal["both", "macro"]),
    (1, Literal[True]),
    ("abc", Optional[int]),  # noqa: UP045
    (5, Sequence[int]),
    ("12", list[int]),
    (OmegaConf.create([1, "x"]), Sequence[int]),
    (OmegaConf.create([0.9]), tuple[float, float]),
    (OmegaConf.create([1]), int),
    (OmegaConf.create([1]), Callable),
    (OmegaConf.create({"a": "x"}), dict[str, int]),
    (OmegaConf.create({"a": 1}), int),
    (OmegaConf.create({"a": 1}), list[int]),
    ("pwam", Callable[..., nn.Module]),
    ("swin", nn.Module),
    (3, nn.Module | None),
    (3, Path),
]


@pytest.mark.parametrize(("value", "annotation"), FITTING, ids=str)
def test_fits(value, annotation):
    assert fits(value, annotation)


@pytest.mark.parametrize(("value", "annotation"), MISFITS, ids=str)
def test_does_not_fit(value, annotation):
    assert not fits(value, annotation)


def test_annotations_are_evaluated_where_they_can_be():
    def function(a: "int", b: "NotImported", c, d: int = None, e: "Literal['x']" = "x"): ...  # noqa: F821, RUF013

    parameters = inspect.signature(function).parameters
    annotations = {name: evaluated_annotation(parameter, function) for name, parameter in parameters.items()}
    assert annotations == {"a": int, "b": Any, "c": Any, "d": int | None, "e": Literal["x"]}


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "int"),
        (float | None, "float | None"),
        (Literal["both", "macro"], "one of 'both', 'macro'"),
        (Callable[..., nn.Module], "Callable[..., Module]"),
        (tuple[int, ...], "tuple[int, ...]"),
    ],
)
def test_annotations_are_described_in_short(annotation, text):
    assert described(annotation) == text
