"""A config tree small enough to read: one group with two options, one experiment, one sweep."""

from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig

from sbanet.config import locate

FILES = {
    "train.yaml": """
        defaults:
          - _self_
          - model/alignment: bam
          - loss: bce
          - experiment: null
        trainer: {devices: 1, num_nodes: 1, accumulate_grad_batches: 1, val_check_interval: 1.0}
        data: {batch_size: 32, image_size: 64}
        seed: 1
        hydra: {run: {dir: out}, sweep: {dir: sweep}, output_subdir: null}
        """,
    "model/alignment/bam.yaml": """
        _target_: sbanet.models.alignment.bam.BidirectionalAlignment
        _partial_: true
        num_queries: 16
        """,
    "model/alignment/pwam.yaml": """
        _target_: sbanet.models.alignment.pwam.PixelWordAttention
        _partial_: true
        """,
    "loss/bce.yaml": """
        _target_: torch.nn.BCEWithLogitsLoss
        reduction: mean
        """,
    "experiment/small.yaml": """
        # @package _global_
        data: {image_size: 32}
        """,
    "experiment/sweep.yaml": """
        # @package _global_
        hydra: {sweeper: {params: {seed: "1,2", model/alignment: "bam,pwam"}}}
        """,
}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tree in place of the project's own; the working directory is another one."""
    conf = tmp_path / "conf"
    for name, text in FILES.items():
        write_config(conf / name, text)
    monkeypatch.setattr(locate, "config_dir", lambda: conf)
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    return conf


def write_config(path: Path, text: str) -> None:
    lines = text.strip("\n").splitlines()
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(line[indent:] for line in lines) + "\n")


@pytest.fixture
def add_config(tree: Path):
    """Write one more file into the tree: `add_config("loss/mse.yaml", text)`."""
    return lambda name, text: write_config(tree / name, text)
