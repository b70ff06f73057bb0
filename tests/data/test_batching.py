"""Samples to batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sbanet.data.batching import Collate, Samples
from sbanet.data.datasets import swap_sentences
from sbanet.data.records import Sample
from sbanet.data.sampling import Draw
from sbanet.data.transforms import Transform

from .conftest import Noise, letter_counts

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def samples(*sizes: tuple[int, int], image_size: int = 24) -> list[Sample]:
    transform = Transform(image_size=image_size)
    found = []
    for k, size in enumerate(sizes, start=1):
        noise = Noise(k + 1, size)
        found.append(Samples(noise, noise.records, transform)[Draw(k, 0)])
    return found


@pytest.fixture
def collate() -> Collate:
    return Collate(letter_counts, mean=MEAN, std=STD)


def test_pixels_are_normalised(collate):
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    result = collate.normalise(images)
    assert result.dtype == torch.float32
    expected = (images.astype(np.float64) / 255 - np.array(MEAN)) / np.array(STD)
    assert np.abs(result.permute(0, 2, 3, 1).double().numpy() - expected).max() <= 1e-6


def test_channels_are_rgb_and_last_in_memory(collate):
    batch = collate(samples((24, 24), (24, 24)))
    assert batch.image.shape == (2, 3, 24, 24)
    assert batch.image.is_contiguous(memory_format=torch.channels_last)
    red = samples((24, 24), (24, 24))[1].image[..., 0].astype(np.float64)
    assert np.allclose(batch.image[1, 0], (red / 255 - MEAN[0]) / STD[0], atol=1e-6)


def test_sentences_are_padded_to_the_longest(collate):
    batch = collate(samples((24, 24), (24, 24), (24, 24)))
    assert batch.token_ids.tolist() == [[6, 0, 0], [6, 6, 0], [6, 6, 6]]
    assert batch.token_mask.tolist() == [[True, False, False], [True, True, False], [True, True, True]]


def test_targets_and_records_stay_in_order(collate):
    given = samples((24, 24), (24, 24))
    batch = collate(given)
    assert len(batch) == 2
    assert batch.target.dtype == torch.bool
    assert [np.array_equal(t, s.mask) for t, s in zip(batch.target, given, strict=True)] == [True, True]
    assert batch.records == [sample.record for sample in given]


def test_native_targets_are_the_masks_before_the_resize(collate):
    given = samples((30, 40), (50, 20))
    batch = collate(given)
    assert [tuple(target.shape) for target in batch.native_targets] == [(30, 40), (50, 20)]
    assert np.array_equal(batch.native_targets[1], given[1].native_mask)
    assert collate(samples((24, 24), (24, 24))).native_targets == []


def test_every_row_has_a_native_target_where_one_has(collate):
    batch = collate(samples((24, 24), (50, 20), (24, 24)))
    assert [tuple(target.shape) for target in batch.native_targets] == [(24, 24), (50, 20), (24, 24)]
    assert torch.equal(batch.native_targets[2], batch.target[2])


def test_a_batch_moves_as_a_whole(collate):
    batch = collate(samples((30, 40), (50, 20))).to("meta")
    tensors = [batch.image, batch.token_ids, batch.token_mask, batch.target, *batch.native_targets]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert len(batch.records) == len(batch) == 2


def test_samples_speak_the_sentences_of_their_records():
    noise = Noise(3)
    silent = Samples(noise, swap_sentences(noise.records, "none")[1:], Transform(image_size=24))
    assert len(silent) == 2
    assert silent[Draw(0, 0)].expression == ""
    assert silent[Draw(0, 0)].record.sample_id == "noise-1"
