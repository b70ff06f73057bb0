"""Small pictures first: which steps see them, and that they still show the same."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from sbanet.config import check, compose
from sbanet.data.records import Batch
from sbanet.errors import ConfigError
from sbanet.training.progressive import ProgressiveResolution, shrink


def batch(side: int = 40) -> Batch:
    """Two images, black but for a white rectangle that is the target."""
    target = torch.zeros(2, side, side, dtype=torch.bool)
    target[:, side // 4 : side // 2, side // 2 :] = True
    image = target[:, None].expand(-1, 3, -1, -1).float().contiguous(memory_format=torch.channels_last)
    ids = torch.ones(2, 3, dtype=torch.long)
    return Batch(image=image, token_ids=ids, token_mask=ids.bool(), target=target, records=[])


def sides_seen(callback: ProgressiveResolution, steps: int) -> list[int]:
    """The side of the batch in each step of a training."""
    trainer = SimpleNamespace(estimated_stepping_batches=steps, global_step=0)
    callback.on_train_start(trainer, None)
    sides = []
    for trainer.global_step in range(steps):
        seen = batch()
        callback.on_train_batch_start(trainer, None, seen, 0)
        sides.append(seen.image.shape[-1])
        assert seen.image.shape[-2:] == seen.target.shape[-2:]
    return sides


def test_the_first_steps_see_small_pictures() -> None:
    assert sides_seen(ProgressiveResolution(0.5, 0.6), steps=10) == [20] * 6 + [40] * 4
    assert sides_seen(ProgressiveResolution(0.5, 0), steps=3) == [40] * 3
    assert sides_seen(ProgressiveResolution(0.5, 1), steps=3) == [20] * 3


def test_image_and_target_shrink_alike() -> None:
    seen = batch()
    shrink(seen, 0.5)
    assert torch.equal(seen.target[0], seen.image[0, 0] > 0.5)
    assert torch.equal(seen.target, batch(20).target)
    assert seen.target.dtype == torch.bool
    assert seen.image.is_contiguous(memory_format=torch.channels_last)


def test_shrinking_is_antialiased() -> None:
    seen = batch()
    seen.image = (torch.arange(40) % 2).float().expand(2, 3, 40, 40)
    shrink(seen, 0.2)  # every fifth stripe would be black or white
    assert seen.image[..., 1:-1].sub(0.5).abs().max() < 0.1


def test_odd_sizes_are_rounded() -> None:
    seen = batch(41)
    shrink(seen, 0.7)
    assert seen.image.shape[-2:] == seen.target.shape[-2:] == (29, 29)


@pytest.mark.parametrize(("scale", "until"), [(0, 0.5), (1.1, 0.5), (0.5, -0.1), (0.5, 1.5)])
def test_impossible_settings_are_refused(scale: float, until: float) -> None:
    with pytest.raises(ConfigError, match="expected a scale above 0"):
        ProgressiveResolution(scale, until)


@pytest.mark.parametrize("override", ["callbacks=from_scratch", "callbacks.progressive=null"])
def test_the_experiments_can_do_without(override: str) -> None:
    cfg = compose("train", ["experiment=aeroscenes_sbanet", override])
    assert check(cfg) == []
    assert (cfg.callbacks.progressive is None) == override.endswith("null")
