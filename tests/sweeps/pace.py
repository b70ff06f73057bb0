"""A callback that makes steps take PACE seconds longer, so that there is time to interrupt a run."""

from __future__ import annotations

import os
import time
from typing import Any

from lightning.pytorch.callbacks import Callback


class Pace(Callback):
    def on_train_batch_end(self, *_: Any) -> None:
        time.sleep(float(os.environ.get("PACE", "0")))
