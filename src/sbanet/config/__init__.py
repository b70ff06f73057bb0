"""Configs: where they are, how they are composed, and what is wrong with them."""

from sbanet.config.composition import compose
from sbanet.config.errors import clear_errors
from sbanet.config.literal import literal_arguments, repeatable_arguments, split_literal
from sbanet.config.locate import config_dir
from sbanet.config.preflight import Problem, check, require_sound
from sbanet.config.programs import program
from sbanet.config.resolvers import register_resolvers

register_resolvers()

__all__ = [
    "Problem",
    "check",
    "clear_errors",
    "compose",
    "config_dir",
    "literal_arguments",
    "program",
    "repeatable_arguments",
    "require_sound",
    "split_literal",
]
