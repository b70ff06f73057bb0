"""`profile=true`: a trace, and whose operators took the time."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.tiny_run import Train


def test_a_profiled_run_writes_a_trace_and_a_table_and_trains_as_ever(
    train_tiny: Train, tiny_run: Path, tmp_path: Path
) -> None:
    train_tiny(tmp_path, "profile=true", "callbacks.profile.steps=2", "callbacks.pictures=null")
    events = json.loads((tmp_path / "profile" / "trace.json").read_text())["traceEvents"]
    assert sum(str(event["name"]).startswith("ProfilerStep") for event in events if event.get("ph") == "X") >= 2
    modules, operators = (tmp_path / "profile" / "operators.md").read_text().split("\n\n")
    passes = dict.fromkeys(re.findall(r"\| (\S*) \| (forward|backward|optimizer) \|", modules))
    both = {name for name, of in passes if of == "forward"} & {name for name, of in passes if of == "backward"}
    assert {"backbone.stages.2", "text_encoder.layers.0", "alignments.0.gate", "decoder", "loss"} <= both
    assert ("", "optimizer") in passes
    assert re.search(r"\| decoder \| backward \| aten::\S+ \|", operators)
    # it is the run that it would have been
    assert (tmp_path / "metrics.csv").read_bytes() == (tiny_run / "metrics.csv").read_bytes()


def test_a_run_that_is_too_short_says_so(train_tiny: Train, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train_tiny(tmp_path, "profile=true", "debug=fast", "callbacks.pictures=null", "test=false")
    assert "profile=true needs 6 training steps, there were 4" in caplog.text
    assert not (tmp_path / "profile").exists()
