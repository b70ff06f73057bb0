"""RRSIS-D's layout at its own image size, from the check to the scores."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from sbanet import dataset
from sbanet.config import compose
from sbanet.evaluation import evaluate
from sbanet.running import train

from .tiny_refer import write_refer
from .tiny_run import NODES, settings_as_they_were

COUNTS = {"train": 160, "val": 20, "test": 40}
SMALL = (
    *NODES, "trainer=cpu", "trainer.max_epochs=1", "trainer.precision=32-true", "callbacks.progress=null",
    "data.image_size=64", "data.num_workers=0",
)  # fmt: skip


@pytest.mark.slow
def test_the_whole_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_refer(tmp_path / "data", COUNTS, size=(800, 800))
    data = ["data=rrsisd", f"data.root={root}", f"data.published={COUNTS}".replace("'", "")]
    dataset.main(["check", *data])
    assert "ok: nothing that changes numbers" in capsys.readouterr().out
    dataset.main(["stats", *data, "split=test"])
    assert "different sentences" in capsys.readouterr().out
    folder = tmp_path / "runs" / "real" / "default"
    with settings_as_they_were():
        scores = train(compose("train", [*SMALL, *data, f"paths.run={folder}"]))
        again = evaluate(folder / "checkpoints" / "best.ckpt", ["data.num_workers=2"], out=tmp_path / "again")
    tables = [pd.read_parquet(place / "predictions" / "test.parquet") for place in (folder, tmp_path / "again")]
    pd.testing.assert_frame_equal(*tables)
    assert len(tables[0]) == COUNTS["test"]
    assert again["test/mIoU"] == scores["test/mIoU"]
    assert (tables[0]["native_U"] > tables[0]["network_U"]).all()
