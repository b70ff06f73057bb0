"""Splits, loaders, and the batches that a trainer really gets."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from types import SimpleNamespace

import albumentations as A
import cv2
import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from sbanet.data.augmentation import FlipsAndTurns
from sbanet.data.datamodules import AeroScenesDataModule
from sbanet.data.datamodules.base import LazyLoader, suitable_workers
from sbanet.data.grammar import Grammar
from sbanet.data.records import Batch
from sbanet.data.sampling import Draw
from sbanet.errors import ConfigError, DataError
from sbanet.resizing import resize_image

Seen = list[tuple[list[str], list[str], torch.Tensor]]


class Recorder(L.LightningModule):
    """Learns one number, and notes the batches it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: Seen = []
        self.validated: Seen = []

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        self.seen.append(note(batch))
        return (self.weight - batch.image.mean()) ** 2

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.validated.append(note(batch))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def note(batch: Batch) -> tuple[list[str], list[str], torch.Tensor]:
    sentences = [record.expression for record in batch.records]
    return [record.sample_id for record in batch.records], sentences, batch.image.clone()


def trainer(**options: object) -> L.Trainer:
    return L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing="callbacks" in options,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        **options,  # type: ignore[arg-type]
    )


def trained_on(data: AeroScenesDataModule, **options: object) -> Seen:
    recorder = Recorder()
    trainer(limit_val_batches=0, **options).fit(recorder, datamodule=data)
    return recorder.seen


def ids(seen: Seen) -> list[list[str]]:
    return [names for names, _, _ in seen]


def as_rank(data: AeroScenesDataModule, rank: int, ranks: int, accumulate: int = 1) -> AeroScenesDataModule:
    """The data module as a rank of a larger job has it."""
    progress = SimpleNamespace(current=SimpleNamespace(ready=0))
    data.trainer = SimpleNamespace(  # type: ignore[assignment]
        world_size=ranks,
        global_rank=rank,
        accumulate_grad_batches=accumulate,
        current_epoch=0,
        overfit_batches=0,
        fit_loop=SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=progress)),
    )
    return data


def test_splits_share_no_scene(tiny_data):
    data = tiny_data()
    images = {split: {r.image for r in data.samples(split).records} for split in data.SPLITS}
    assert {split: len(numbers) for split, numbers in images.items()} == {"train": 6, "val": 3, "test": 4}
    assert not any(images[a] & images[b] for a, b in itertools.combinations(images, 2))
    names = [r.sample_id for split in data.SPLITS for r in data.samples(split).records]
    assert len(set(names)) == len(names)
    assert all(r.split == split for split in data.SPLITS for r in data.samples(split).records)


def test_fingerprints_are_those_of_the_content(tiny_data):
    prints = tiny_data().fingerprint()
    assert list(prints) == ["train", "val", "test"]
    assert len(set(prints.values())) == 3
    # what the network makes of it is not the content
    assert tiny_data(image_size=32, batch_size=2, seed=9, sentence="none").fingerprint() == prints
    assert tiny_data(scene_seed=6).fingerprint(["val"])["val"] != prints["val"]


def test_a_split_is_read_once(tiny_data):
    data = tiny_data()
    assert data.samples("val") is data.samples("val")


@pytest.mark.parametrize("split", ["validation", "TEST", ""])
def test_an_unknown_split_is_an_error_that_lists_the_known(tiny_data, split):
    with pytest.raises(DataError, match=rf"split='{split}': AeroScenes has no such split; known: train, val, test$"):
        tiny_data().samples(split)


def test_a_split_that_the_config_leaves_out_is_unknown(tiny_data):
    data = tiny_data(scenes_per_split={"val": 3})
    with pytest.raises(DataError, match=r"split='train': .* known: val$"):
        data.dataset("train")


def test_preparing_draws_every_split(tiny_data, tmp_path):
    data = tiny_data(cache=tmp_path / "new")
    data.prepare_data()
    drawn = sorted(path.name.split("-")[1] for path in (tmp_path / "new").glob("aeroscenes-*"))
    assert drawn == ["test", "train", "val"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"batch_size": 0}, "data.batch_size=0: expected a whole number of 1 or more"),
        ({"eval_batch_size": -1}, "data.eval_batch_size=-1: expected a whole number of 1 or more"),
        ({"resize": "nearest"}, "data.resize=nearest: expected area, pillow"),
        ({"image_size": 64.5}, "data.image_size=64.5: expected a whole number of 1 or more"),
        ({"num_workers": -1}, "data.num_workers=-1: expected a whole number of 0 or more"),
        ({"seed": None}, "data.seed=None: expected a whole number of 0 or more"),
        ({"scene_seed": -3}, "data.scene_seed=-3: expected a whole number of 0 or more"),
        ({"expressions_per_scene": 0}, "data.expressions_per_scene=0: expected a whole number of 1 or more"),
        ({"scenes_per_split": {"val": 0}}, "data.scenes_per_split.val=0: expected a whole number of 1 or more"),
        ({"scenes_per_split": {"val": "many"}}, "data.scenes_per_split.val=many: expected a whole number"),
        ({"sentence": "others"}, "data.sentence=others: expected own, other, none"),
    ],
)
def test_a_setting_that_cannot_be_is_named(tiny_data, setting, message):
    with pytest.raises(ConfigError, match=message):
        tiny_data(**setting)


def test_a_loader_without_a_trainer_says_so(tiny_data):
    with pytest.raises(DataError, match="no trainer yet"):
        tiny_data().val_dataloader()


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_trainer_gets_the_same_batches_from_any_number_of_workers(tiny_data, accumulate):
    augmentation = [A.RandomBrightnessContrast(p=1.0)]
    alone, shared = (
        trained_on(
            tiny_data(num_workers=workers, augmentation=augmentation, image_size=48),
            max_steps=2,
            accumulate_grad_batches=accumulate,
        )
        for workers in (0, 2)
    )
    assert len(alone) == 2 * accumulate
    assert ids(alone) == ids(shared)
    assert all(torch.equal(a[2], b[2]) for a, b in zip(alone, shared, strict=True))
    assert alone[0][2].shape == (4 // accumulate, 3, 48, 48)


def test_every_epoch_has_its_own_order(tiny_data):
    seen = ids(trained_on(tiny_data(batch_size=6), max_epochs=2))
    samples = len(tiny_data().samples("train"))
    first, second = seen[: len(seen) // 2], seen[len(seen) // 2 :]
    for epoch in (first, second):
        assert len(epoch) == samples // 6
        assert len(set(itertools.chain(*epoch))) == 6 * len(epoch)
    assert first != second


@pytest.mark.parametrize("workers", [0, 1])
def test_sentences_of_an_image_share_it(tiny_data, workers):
    augmentation = [FlipsAndTurns(horizontal=True, vertical=True, turns=True)]
    data = tiny_data(sentences_per_image=2, batch_size=4, num_workers=workers, augmentation=augmentation)
    image_of = {record.sample_id: record.image for record in data.samples("train").records}
    for names, _, images in trained_on(data):
        assert images.shape == (2, 3, 64, 64)
        assert [image_of[name] for name in names[::2]] == [image_of[name] for name in names[1::2]]
    batches = list(data.val_dataloader())
    for evaluated in batches:
        keys = [record.image for record in evaluated.records]
        distinct = list(dict.fromkeys(keys))
        assert len(evaluated.image) == len(distinct)
        assert [distinct[image] for image in evaluated.image_of_row()] == keys
    assert any(len(evaluated.image) < len(evaluated) for evaluated in batches)


@pytest.mark.parametrize("workers", [0, 2])
def test_overfitting_sees_the_same_batches_every_epoch(tiny_data, workers):
    data = tiny_data(num_workers=workers, augmentation=[A.RandomBrightnessContrast(p=1.0)])
    seen = trained_on(data, max_epochs=3, overfit_batches=2)
    assert len(seen) == 6
    assert ids(seen)[:2] == ids(seen)[2:4] == ids(seen)[4:]
    assert torch.equal(seen[0][2], seen[2][2])


@pytest.mark.parametrize("workers", [0, 1])
def test_training_goes_on_in_the_middle_of_an_epoch(tiny_data, tmp_path, workers):
    def run(ckpt_path: Path | None = None) -> Seen:
        recorder = Recorder()
        checkpoints = ModelCheckpoint(tmp_path, every_n_train_steps=1, save_top_k=-1, filename="{step}")
        fitting = trainer(limit_val_batches=0, max_steps=6, callbacks=[checkpoints])
        fitting.fit(recorder, datamodule=tiny_data(num_workers=workers), ckpt_path=ckpt_path)
        return recorder.seen

    whole = ids(run())
    for step in (2, 5):
        assert ids(run(tmp_path / f"step={step}.ckpt")) == whole[step:]


@pytest.mark.parametrize("ranks", [2, 4])
def test_the_global_batches_of_training_do_not_depend_on_the_ranks(tiny_data, ranks):
    def loaded(rank: int, ranks: int) -> list[list[str]]:
        loader = as_rank(tiny_data(), rank, ranks).train_dataloader()
        return [[record.sample_id for record in batch.records] for batch in loader]

    whole = loaded(0, 1)
    dealt = [loaded(rank, ranks) for rank in range(ranks)]
    for step, expected in enumerate(whole):
        assert [name for rank in dealt for name in rank[step]] == expected


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_the_ranks_share_out_the_evaluation(tiny_data, ranks):
    samples = tiny_data().samples("test")
    dealt = [
        [
            record.sample_id
            for batch in as_rank(tiny_data(), rank, ranks).eval_dataloader("test")
            for record in batch.records
        ]
        for rank in range(ranks)
    ]
    assert sorted(itertools.chain(*dealt)) == sorted(record.sample_id for record in samples.records)


def test_a_batch_that_the_ranks_cannot_share_is_refused(tiny_data):
    with pytest.raises(ConfigError, match=r"data.batch_size=4 .* 3 ranks x 1"):
        as_rank(tiny_data(), 0, 3).train_dataloader()


@pytest.mark.parametrize(("ranks", "advice"), [(4, "at most 3, or fewer"), (13, "choose fewer")])
def test_a_split_that_is_too_small_for_the_ranks_is_refused(tiny_data, ranks, advice):
    data = tiny_data(eval_batch_size=5)
    with pytest.raises(ConfigError, match=rf"eval_batch_size=5: the split test has 12 samples, .*{advice} devices"):
        as_rank(data, 0, ranks).test_dataloader()
    assert len(as_rank(data, 2, 3).test_dataloader()) == 1


def test_evaluation_is_neither_shuffled_nor_augmented(tiny_data):
    data = tiny_data(augmentation=[A.RandomBrightnessContrast(p=1.0)], image_size=32)
    recorder = Recorder()
    trainer().validate(recorder, datamodule=data, verbose=False)
    samples = data.samples("val")
    assert list(itertools.chain(*ids(recorder.validated))) == [record.sample_id for record in samples.records]
    batch = next(iter(data.val_dataloader()))
    assert [tuple(target.shape) for target in batch.native_targets] == [(64, 64)] * 4
    record = samples.records[1]
    assert np.array_equal(batch.native_targets[1], samples.dataset.mask(record))
    shrunk = cv2.resize(samples.dataset.image(record), (32, 32), interpolation=cv2.INTER_AREA)
    assert torch.equal(batch.image[batch.image_of_row()[1]], data.collate.normalise(shrunk[None])[0])


def test_the_training_split_is_scored_as_any_other(tiny_data):
    data = tiny_data(augmentation=[A.InvertImg(p=1.0)], image_size=32)
    learned = next(iter(as_rank(data, 0, 1).train_dataloader()))
    scored = next(iter(data.eval_dataloader("train")))
    assert learned.native_targets == []
    assert [tuple(target.shape) for target in scored.native_targets] == [(64, 64)] * 4
    samples = data.samples("train")
    shrunk = resize_image(samples.dataset.image(samples.records[0]), 32, "area")
    assert torch.equal(scored.image[0], data.collate.normalise(shrunk[None])[0])


def test_every_split_is_resized_as_asked(tiny_data):
    data = tiny_data(resize="pillow", image_size=32, augmentation=[A.RandomBrightnessContrast(p=0.0)])
    for split in data.SPLITS:
        samples = data.samples(split)
        image = samples.dataset.image(samples.records[0])
        assert np.array_equal(samples[Draw(0, 0)].image, resize_image(image, 32, "pillow"))


def test_a_control_changes_the_sentences_that_are_trained_on(tiny_data):
    own = trained_on(tiny_data(), max_steps=1)
    silent = trained_on(tiny_data(sentence="none"), max_steps=1)
    assert ids(own) == ids(silent)
    assert set(silent[0][1]) == {""}
    assert "" not in own[0][1]


def test_a_mix_is_obeyed(tiny_data):
    ordinal = tiny_data(grammar=Grammar(mix={"ordinal": 1.0})).samples("train").records
    assert {record.tags for record in ordinal} == {("ordinal",)}


class Vanished:
    """A dataset whose files were taken away."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> None:
        raise DataError(f"image=/data/{index}.png: no such file")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_vanished_is_one_line_from_a_loader_process_too(workers: int) -> None:
    loader = LazyLoader(Vanished(), num_workers=workers)  # type: ignore[arg-type]
    with pytest.raises(DataError) as refused:
        next(iter(loader))
    assert str(refused.value) == "image=/data/0.png: no such file"


@pytest.mark.parametrize(
    ("cores", "ranks", "slurm", "workers"),
    [
        (1, 1, {}, 0),
        (2, 1, {}, 1),
        (64, 1, {}, 4),
        (16, 4, {}, 3),
        (4, 8, {}, 0),
        (64, 2, {"SLURM_CPUS_PER_TASK": "6"}, 2),  # a task of two ranks
        (6, 2, {"SLURM_CPUS_PER_TASK": "6", "SLURM_NTASKS": "2"}, 4),  # two tasks of a rank
        (2, 2, {"SLURM_CPUS_PER_TASK": "2", "SLURM_NTASKS": "2"}, 1),
    ],
)
def test_the_loader_processes_suit_the_cores_of_the_job(cores, ranks, slurm, workers, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    for name in ("SLURM_CPUS_PER_TASK", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in slurm.items():
        monkeypatch.setenv(name, value)
    assert suitable_workers(ranks) == workers


def test_the_number_of_loader_processes_may_be_left_open(tiny_data, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    data = as_rank(tiny_data(num_workers="auto"), 0, 1)
    data.trainer.num_devices = 1
    assert data.eval_dataloader("val").num_workers == 2
