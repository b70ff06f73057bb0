import inspect
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from sbanet.config.signatures import by_name, call_parameters, required, takes_any_name


class Base:
    def __init__(self, *, name: str, size: int, rate: float = 0.1): ...


class Forwarding(Base):
    def __init__(self, *, extra: bool, **options):
        super().__init__(name="fixed", **options)


class ForwardingTwice(Forwarding):
    def __init__(self, more: int = 0, **options):
        super().__init__(**options)


class KeepingForItself(Base):
    def __init__(self, size, **options):
        super().__init__(name="fixed", size=size)
        self.options = options


class ForwardingByPosition(nn.Conv2d):
    def __init__(self, **options):
        super().__init__(3, **options)


class Inheriting(Forwarding):
    pass


@dataclass
class Data:
    size: int
    rate: float = 0.1


def test_options_that_go_to_the_base_are_its_parameters():
    parameters = call_parameters(Forwarding)
    assert by_name(parameters) == ["extra", "size", "rate"]
    assert required(parameters) == ["extra", "size"]
    assert not takes_any_name(parameters)
    assert parameters["size"].annotation is int


def test_they_are_followed_through_several_bases():
    assert by_name(call_parameters(ForwardingTwice)) == ["more", "extra", "size", "rate"]
    assert by_name(call_parameters(Inheriting)) == ["extra", "size", "rate"]


def test_what_is_given_by_position_is_not_open_any_more():
    names = by_name(call_parameters(ForwardingByPosition))
    assert names[:2] == ["out_channels", "kernel_size"]
    assert "in_channels" not in names


def test_options_that_go_elsewhere_stay_open():
    assert takes_any_name(call_parameters(KeepingForItself))
    assert takes_any_name(call_parameters(dict.fromkeys)) is False


@pytest.mark.parametrize("target", [Base, Data, nn.Conv2d, torch.optim.AdamW, nn.functional.interpolate])
def test_plain_signatures_are_as_python_says(target):
    assert list(call_parameters(target)) == list(inspect.signature(target).parameters)


def test_a_target_written_in_c_has_none():
    with pytest.raises((TypeError, ValueError)):
        call_parameters(torch.zeros)
