"""Cached pixels: bit by bit those that are read, and never those of a file that has changed since."""

from __future__ import annotations

import os
from pathlib import Path

import albumentations as A
import cv2
import numpy as np
import pytest
import torch

from sbanet.data import pixel_cache
from sbanet.data.augmentation import BlackSquares
from sbanet.data.datamodules import PhraseFoldersDataModule, ReferDataModule, ReferringDataModule
from sbanet.errors import DataError
from tests.tiny_phrases import write_phrases
from tests.tiny_refer import write_refer

from .conftest import letter_counts
from .test_datamodules import as_rank

COUNTS = {"train": 6, "val": 3, "test": 3}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_refer(tmp_path / "data", COUNTS, sentences=2)


def options_of(root: Path, cache: Path | None, changes: dict[str, object]) -> dict[str, object]:
    settings = {"name": "tiny", "root": root, "tokenizer": letter_counts, "batch_size": 2, "eval_batch_size": 2}
    return settings | {"image_size": 24, "seed": 1, "cache": cache} | changes


def module(root: Path, cache: Path | None, **changes: object) -> ReferringDataModule:
    files = {"refs": "rrsisd/refs(unc).p", "instances": "rrsisd/instances.json", "images": "images/rrsisd/JPEGImages"}
    data = ReferDataModule(**files, splits={split: split for split in COUNTS}, **options_of(root, cache, changes))
    return as_rank(data, 0, 1)


def of_files(root: Path, cache: Path | None) -> ReferringDataModule:
    phrases = {split: f"output_phrase_{split}.txt" for split in COUNTS}
    folders = {"images": ["images"], "masks": ["masks"], "foreground_above": 50}
    return as_rank(PhraseFoldersDataModule(phrases=phrases, **folders, **options_of(root, cache, {})), 0, 1)


def batches(data, split: str) -> list:
    return list(data.train_dataloader() if split == "train" else data.eval_dataloader(split))


def require_equal(these: list, those: list) -> None:
    assert len(these) == len(those) > 0
    for one, other in zip(these, those, strict=True):
        assert one.records == other.records
        for key in ("image", "target", "token_ids"):
            assert torch.equal(getattr(one, key), getattr(other, key)), key
        assert len(one.native_targets) == len(other.native_targets)
        assert all(map(torch.equal, one.native_targets, other.native_targets))


def images_of(cache: Path) -> list[Path]:
    return sorted(cache.glob("pixels-*/images.npy"))


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("resize", ["area", "pillow"])
def test_a_cached_batch_is_bit_by_bit_the_uncached(root, tmp_path, split, resize):
    options = {"resize": resize, "augmentation": [A.RandomBrightnessContrast(p=1.0)]}
    plain = batches(module(root, None, **options), split)
    for _ in range(2):  # made, and opened
        require_equal(batches(module(root, tmp_path / "cache", **options), split), plain)
    images = np.load(images_of(tmp_path / "cache")[0])
    assert images.shape == (COUNTS[split], 24, 24, 3)  # one of an image, whatever its sentences


def test_masks_that_are_files_are_kept_too(tmp_path):
    root = write_phrases(tmp_path / "data", COUNTS)
    cached, plain = of_files(root, tmp_path / "cache"), of_files(root, None)
    for split in ("train", "test"):
        require_equal(batches(cached, split), batches(plain, split))
    before = batches(cached, "train")
    for file in root.glob("*/*"):  # what is left to read is the cache
        file.write_bytes(b"")
    require_equal(batches(cached, "train"), before)


def test_loader_processes_and_other_sentences_see_the_same(root, tmp_path):
    plain = batches(module(root, None, sentence="none"), "train")
    require_equal(batches(module(root, tmp_path / "cache", num_workers=2, sentence="none"), "train"), plain)


def test_what_was_made_once_is_not_read_again(root, tmp_path, monkeypatch):
    batches(module(root, tmp_path / "cache"), "train")
    monkeypatch.setattr("sbanet.data.datasets.read_image", lambda _: pytest.fail("read again"))
    batches(module(root, tmp_path / "cache"), "train")


def test_an_image_that_changed_is_read_anew_even_if_its_time_is_put_back(root, tmp_path):
    batches(module(root, tmp_path / "cache"), "val")
    samples = module(root, None).samples("val")
    [file] = samples.dataset.files(samples.records[0])
    before = file.stat()
    negative = cv2.imencode(".jpg", 255 - cv2.imread(str(file)), [cv2.IMWRITE_JPEG_QUALITY, 30])[1].tobytes()
    file.write_bytes(negative.ljust(before.st_size, b"\0"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    require_equal(batches(module(root, tmp_path / "cache"), "val"), batches(module(root, None), "val"))
    assert len(images_of(tmp_path / "cache")) == 2


def test_other_settings_have_a_cache_of_their_own(root, tmp_path):
    for options in ({}, {"resize": "pillow"}, {"image_size": 32}):
        batches(module(root, tmp_path / "cache", **options), "val")
    assert len(images_of(tmp_path / "cache")) == 3


def test_an_image_that_changes_while_it_is_cached_is_an_error(root, tmp_path, monkeypatch):
    states = iter(range(1000))
    monkeypatch.setattr(pixel_cache, "_state", lambda _: str(next(states)))
    with pytest.raises(DataError, match="an image was changed while it was cached; start again"):
        batches(module(root, tmp_path / "cache"), "val")
    assert images_of(tmp_path / "cache") == []


def test_a_full_disk_is_one_clear_error(root, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    expected = r"0\.0 GB of images cannot be cached \(No space left on device\); free some space, set data.cache"
    with pytest.raises(DataError, match=expected) as caught:
        batches(module(root, tmp_path / "cache"), "val")
    assert "\n" not in str(caught.value)
    assert images_of(tmp_path / "cache") == []


def test_a_damaged_image_is_named_and_leaves_no_cache(root, tmp_path):
    file = sorted((root / "images" / "rrsisd" / "JPEGImages").iterdir())[0]
    file.write_bytes(b"")
    with pytest.raises(DataError, match=rf"{file}: cannot be decoded"):
        batches(module(root, tmp_path / "cache"), "train")
    assert images_of(tmp_path / "cache") == []


def test_a_damaged_cache_is_named_with_its_remedy(root, tmp_path):
    batches(module(root, tmp_path / "cache"), "val")
    [path] = images_of(tmp_path / "cache")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=rf"{path.parent}: the cache is damaged .*; delete the folder"):
        batches(module(root, tmp_path / "cache"), "val")


def test_a_step_at_the_native_size_reads_the_images(root, tmp_path, caplog):
    caplog.set_level("INFO")
    squares = BlackSquares(share=1.0, count=(3, 3), side=8, seed=0)
    options = {"augmentation": [squares]}
    require_equal(
        batches(module(root, tmp_path / "cache", **options), "train"), batches(module(root, None, **options), "train")
    )
    assert "data.cache is not used for training" in caplog.text
    assert not (tmp_path / "cache").exists()


def test_a_choice_of_records_finds_its_own_images(root, tmp_path):
    dataset = module(root, None).samples("train").dataset
    chosen = dataset.records[::-3]
    cached = pixel_cache.cached_pixels(dataset, chosen, tmp_path / "cache", side=24, resize="area")
    for position, record in enumerate(chosen):
        assert np.array_equal(cached.image(position), dataset.resized_image(record, 24, "area"))
    assert cached.mask(0) is None
