"""Samples to batches."""

from __future__ import annotations

from dataclasses import replace

import albumentations as A
import numpy as np
import pytest
import torch

from sbanet.data.augmentation import FlipsAndTurns, KeepColours
from sbanet.data.batching import Collate, Samples
from sbanet.data.datasets import swap_sentences
from sbanet.data.records import Sample
from sbanet.data.sampling import Draw
from sbanet.data.transforms import Transform
from sbanet.resizing import resize_image, resize_mask

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


def test_normalising_by_rows_is_bit_by_bit_the_plain_formula(collate):
    images = np.random.default_rng(0).integers(0, 256, (2, 7, 13, 3), dtype=np.uint8)
    plain = torch.from_numpy(images) * collate.scale + collate.offset
    assert torch.equal(collate.normalise(images), plain.permute(0, 3, 1, 2))


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


def test_an_image_that_several_samples_share_is_there_once():
    collate = Collate(letter_counts, mean=MEAN, std=STD, sentences_per_image=2)
    one, two = samples((24, 24), (24, 24))
    batch = collate([one, replace(one, expression="b"), two, two])
    assert batch.image.shape == (2, 3, 24, 24)
    assert len(batch) == len(batch.target) == len(batch.token_ids) == 4
    assert batch.image_of_row() == [0, 0, 1, 1]
    whole = Collate(letter_counts, mean=MEAN, std=STD, sentences_per_image=1)([one, one, two, two])
    assert torch.equal(batch.image.repeat_interleave(2, 0), whole.image)
    assert whole.image_of_row() == [0, 1, 2, 3]


@pytest.mark.parametrize("order", [[0, 0, 0, 1], [0, 1, 1, 1], [0, 0, 1]])
def test_images_that_differ_are_all_there(order):
    collate = Collate(letter_counts, mean=MEAN, std=STD, sentences_per_image=2)
    given = samples((24, 24), (24, 24))
    assert len(collate([given[place] for place in order]).image) == len(order)


def test_any_number_of_samples_may_share_an_image(collate):
    one, two = samples((24, 24), (24, 24))
    alike = replace(two, image=two.image.copy())
    batch = collate([one, two, two, two, alike, one])
    assert len(batch.image) == 4
    assert batch.image_of_row() == [0, 1, 1, 1, 2, 3]
    assert torch.equal(batch.to("cpu").image[batch.to("cpu").image_of_row()][4], batch.image[1])


@pytest.mark.parametrize("native_masks", [True, False])
def test_an_image_that_samples_share_is_read_and_resized_once(native_masks):
    noise = Noise(2, (40, 30))
    one, two = noise.records
    records = [one, replace(one, sample_id="again"), two]
    seen = Samples(noise, records, Transform(image_size=24), native_masks=native_masks)
    noise.read.clear()
    first, second, third = seen.__getitems__([Draw(place, 0) for place in range(3)])
    assert noise.read == [one.image, two.image]
    assert first.image is second.image
    for sample, draw in zip((first, second, third), range(3), strict=True):
        alone = seen[Draw(draw, 0)]
        assert np.array_equal(sample.image, alone.image)
        assert np.array_equal(sample.mask, alone.mask)


def test_a_batch_moves_as_a_whole(collate):
    batch = collate(samples((30, 40), (50, 20))).to("meta")
    tensors = [batch.image, batch.token_ids, batch.token_mask, batch.target, *batch.native_targets]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert len(batch.records) == len(batch) == 2


@pytest.mark.parametrize("changes", [[], [KeepColours(changes="hue", transforms=[A.HueSaturationValue(p=1)])]])
def test_samples_of_a_set_are_augmented_alike(changes):
    flips = FlipsAndTurns(horizontal=True, vertical=True, turns=True)
    noise = Noise(3, (24, 24))
    one, two, three = noise.records
    left = replace(one, expression="the square on the left")
    records = [left, replace(two, image=one.image, expression="the third square from the top"), left, three]
    learned = Samples(noise, records, Transform([flips, *changes], image_size=24), native_masks=False)
    poses = set()
    for seed in range(12):
        batch = learned.__getitems__([Draw(0, seed), Draw(1, seed), Draw(2, seed + 1), Draw(3, seed + 1)])
        assert np.array_equal(batch[0].image, batch[1].image)
        assert not np.array_equal(batch[2].image, batch[3].image)
        again = learned.__getitems__([Draw(1, seed), Draw(0, seed)])
        assert np.array_equal(again[1].mask, batch[0].mask)
        assert batch[0].expression.split()[-1] != batch[1].expression.split()[-1]
        poses.add(batch[0].expression)
    assert len(poses) == 4


class Drawn(Noise):
    """Says what was drawn at which size."""

    whole = 0

    def mask(self, record):
        self.whole += 1
        return super().mask(record)

    def resized_mask(self, record, side):
        return resize_mask(super().mask(record), side)


@pytest.mark.parametrize(("native_masks", "at_native_size", "drawn"), [(0, 0, 0), (0, 1, 1), (1, 0, 1)])
def test_whole_masks_are_drawn_only_where_they_are_asked_for(native_masks, at_native_size, drawn):
    def step(sample, rng):
        return sample

    step.at_native_size = bool(at_native_size)
    noise = Drawn(2)
    transform = Transform([] if native_masks else [step], image_size=24)
    found = Samples(noise, noise.records, transform, native_masks=bool(native_masks))[Draw(1, 0)]
    assert noise.whole == drawn
    assert (found.native_mask is not None) == bool(native_masks)
    image, mask = noise.pixels(noise.records[1])
    assert np.array_equal(found.image, resize_image(image, 24, "area"))
    assert np.array_equal(found.mask, resize_mask(mask, 24))


def test_samples_speak_the_sentences_of_their_records():
    noise = Noise(3)
    silent = Samples(noise, swap_sentences(noise.records, "none")[1:], Transform(image_size=24))
    assert len(silent) == 2
    assert silent[Draw(0, 0)].expression == ""
    assert silent[Draw(0, 0)].record.sample_id == "noise-1"
