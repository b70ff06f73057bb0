"""Augmentation and the size of the network."""

from __future__ import annotations

from dataclasses import replace

import albumentations as A
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from sbanet.data.batching import Collate, Samples
from sbanet.data.records import Sample
from sbanet.data.sampling import TrainBatches
from sbanet.data.transforms import Transform
from sbanet.resizing import resize_image

from .conftest import Noise, letter_counts


def steps() -> list[A.BasicTransform]:
    return [A.RandomBrightnessContrast(p=1.0), A.GaussNoise(p=0.5)]


@pytest.fixture
def sample() -> Sample:
    noise = Noise(4)
    record = noise.records[3]
    return Sample(image=noise.image(record), mask=noise.mask(record), expression="a square", record=record)


def test_the_seed_decides_the_augmentation(sample):
    transform = Transform(steps(), image_size=16)
    first, other, again = transform(sample, 7), transform(sample, 8), transform(sample, 7)
    assert np.array_equal(first.image, again.image)
    assert not np.array_equal(first.image, other.image)
    assert np.array_equal(first.image, Transform(steps(), image_size=16)(sample, 7).image)


def test_global_random_states_do_not_matter(sample):
    transform = Transform(steps(), image_size=16)
    first = transform(sample, 7)
    np.random.seed(99)  # noqa: NPY002
    torch.manual_seed(99)
    assert np.array_equal(first.image, transform(sample, 7).image)


def test_a_photometric_step_changes_the_image_alone(sample):
    untouched = sample.image.copy()
    augmented = Transform([A.RandomBrightnessContrast(p=1.0)], image_size=64)(sample, 3)
    plain = Transform(image_size=64)(sample, 3)
    assert not np.array_equal(augmented.image, plain.image)
    assert np.array_equal(augmented.mask, plain.mask)
    assert augmented.expression == sample.expression
    assert np.array_equal(sample.image, untouched)


def test_what_moves_pixels_moves_the_mask_along(sample):
    flipped = Transform([A.VerticalFlip(p=1.0)], image_size=64)(sample, 0)
    assert flipped.mask.dtype == bool
    assert np.array_equal(flipped.mask, Transform(image_size=64)(sample, 0).mask[::-1])
    assert flipped.native_mask is None, "the mask at the image's own size is not flipped"


def test_augmentation_sees_the_network_s_size_and_leaves_it(sample):
    sizes = []

    def half(seen, rng):
        sizes.append(seen.image.shape[:2])
        return replace(seen, image=seen.image[:8], mask=seen.mask[:8])

    augmented = Transform([half, half], image_size=16)(sample, 0)
    assert sizes == [(16, 16), (8, 16)]
    assert augmented.image.shape[:2] == augmented.mask.shape == (16, 16)


def test_a_step_may_ask_for_the_native_size(sample):
    seen = []

    class Native:
        at_native_size = True

        def __call__(self, given, rng):
            seen.append((given.image.shape[:2], rng.random()))
            return replace(given, image=255 - given.image)

    def after(given, rng):
        seen.append((given.image.shape[:2], rng.random()))
        return given

    result = Transform([after, Native()], image_size=10)(sample, 3)
    assert [size for size, _ in seen] == [(20, 30), (10, 10)]
    assert np.array_equal(result.image, resize_image(255 - sample.image, 10, "area"))
    assert result.native_mask is None
    streams = [np.random.default_rng([3, position]).random() for position in (1, 0)]
    assert [number for _, number in seen] == streams, "each by its place among the steps"


@pytest.mark.parametrize("image_size", [12, 25, 48])
def test_resizing_keeps_the_mask_at_its_own_size(sample, image_size):
    resized = Transform(image_size=image_size)(sample, 0)
    assert resized.image.shape == (image_size, image_size, 3)
    assert resized.image.dtype == np.uint8
    assert resized.mask.shape == (image_size, image_size)
    assert resized.mask.dtype == bool
    assert np.array_equal(resized.native_mask, sample.mask)
    # nearest pixel: each of the resized mask's is the one that its middle falls into
    rows = ((np.arange(image_size) + 0.5) * 20 / image_size).astype(int)
    columns = ((np.arange(image_size) + 0.5) * 30 / image_size).astype(int)
    assert np.array_equal(resized.mask, sample.mask[rows][:, columns])


@pytest.mark.parametrize("resize", ["area", "pillow"])
def test_the_image_is_resized_as_asked(sample, resize):
    for steps_of_some, side in (((), 10), ((lambda seen, rng: seen,), 60)):
        image = Transform(steps_of_some, image_size=side, resize=resize)(sample, 0).image
        assert np.array_equal(image, resize_image(sample.image, side, resize))


def test_an_image_of_the_network_s_size_has_no_other_mask(sample):
    square = replace(sample, image=sample.image[:, :20], mask=sample.mask[:, :20])
    for transform in (Transform(image_size=20), Transform(steps(), image_size=20)):
        result = transform(square, 1)
        assert result.native_mask is None
        assert np.array_equal(result.mask, square.mask)


@pytest.mark.parametrize("epoch", [0, 1])
def test_loader_processes_augment_as_the_main_one_does(epoch):
    noise = Noise(8)

    def images(num_workers: int) -> list[torch.Tensor]:
        samples = Samples(noise, noise.records, Transform(steps(), image_size=20))
        batches = TrainBatches(
            range(8), global_batch=4, ranks=1, rank=0, accumulate=1, seed=2, position=lambda: (epoch, 0)
        )
        collate = Collate(letter_counts, mean=(0, 0, 0), std=(1, 1, 1))
        loader = DataLoader(samples, batch_sampler=batches, collate_fn=collate, num_workers=num_workers)
        return [batch.image for batch in loader]

    alone, shared = images(0), images(2)
    assert len(alone) == len(shared) == 2
    assert all(torch.equal(a, b) for a, b in zip(alone, shared, strict=True))


def test_another_epoch_augments_otherwise():
    noise = Noise(1, (16, 16))
    samples = Samples(noise, noise.records, Transform(steps(), image_size=16))
    draws = [
        next(
            iter(
                TrainBatches(
                    range(1), global_batch=1, ranks=1, rank=0, accumulate=1, seed=2, position=lambda e=e: (e, 0)
                )
            )
        )
        for e in (0, 1)
    ]
    assert draws[0][0].position == draws[1][0].position
    assert not np.array_equal(samples[draws[0][0]].image, samples[draws[1][0]].image)
