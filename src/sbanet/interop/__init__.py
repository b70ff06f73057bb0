"""Weights of other implementations as models of ours."""

from sbanet.interop.official import load_official

__all__ = ["load_official"]
