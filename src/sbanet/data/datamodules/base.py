"""What all data modules share: a split as batches, for training and evaluation."""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import albumentations as A
import lightning as L
import torch
from torch.utils.data import DataLoader

from sbanet.data import loader_process
from sbanet.data.augmentation import Step
from sbanet.data.batching import Collate, Samples
from sbanet.data.checks import require_sound
from sbanet.data.datasets import SENTENCES, RecordDataset, swap_sentences
from sbanet.data.pixel_cache import cached_pixels
from sbanet.data.records import Batch
from sbanet.data.sampling import EvalBatches, TrainBatches
from sbanet.data.transforms import Transform
from sbanet.errors import ConfigError, DataError, SbanetError
from sbanet.resizing import Resize, require_known

logger = logging.getLogger(__name__)


class ReferringDataModule(L.LightningDataModule, ABC):
    """Batches of a referring segmentation dataset; a subclass says how a split is read.

    Args:
        name: of the dataset, in tables and run folders.
        tokenizer: of the model's text encoder.
        batch_size: *global* batch of training: samples an optimiser step, over all ranks and accumulation steps.
        eval_batch_size: samples an evaluation batch on one rank.
        sentences_per_image: samples of one image side by side in a training batch, augmented alike; what the model
            computes of the image alone is computed once for them.
        image_size: side of the square that the network sees, in pixels.
        resize: how images come to that size, `area` or `pillow`; see `sbanet.resizing`.
        seed: of order and augmentation.
        num_workers: loader processes a rank; 0 = load in the main process, `auto` = as many as the cores allow.
        cache: folder of decoded and resized images, shared by all jobs of a machine; None = decode anew each time.
        augmentation: steps of the training split: of `sbanet.data.augmentation`, or albumentations transforms that
            leave the sentence true.
        sentence: `own`, or a control: `other` = that of another object of the image, `none` = empty.
        check: whether training refuses annotations with findings that change numbers; see `sbanet.data.checks`.
        published: the number of samples of each split that its authors publish; None = nobody does.
        mean: what the model's backbone wants subtracted from each channel, on the scale 0 to 1.
        std: what it wants each channel divided by.

    Raises:
        ConfigError: a number below its least, or an unknown `resize` or `sentence`.
    """

    def __init__(
        self,
        *,
        name: str,
        tokenizer: Callable[[Sequence[str]], tuple[torch.Tensor, torch.Tensor]],
        batch_size: int,
        eval_batch_size: int,
        sentences_per_image: int = 1,
        image_size: int,
        seed: int,
        num_workers: int | Literal["auto"] = 0,
        cache: str | Path | None = None,
        resize: Resize = "area",
        augmentation: Sequence[A.BasicTransform | Step] = (),
        sentence: Literal["own", "other", "none"] = "own",
        check: bool = True,
        published: Mapping[str, int] | None = None,
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0, 1.0),
    ) -> None:
        super().__init__()
        require_whole(1, batch_size=batch_size, eval_batch_size=eval_batch_size, image_size=image_size)
        require_whole(1, sentences_per_image=sentences_per_image)
        require_whole(0, seed=seed)
        if num_workers != "auto":
            require_whole(0, num_workers=num_workers)
        require_known(resize, key="data.resize")
        if sentence not in SENTENCES:
            raise ConfigError(f"data.sentence={sentence}: expected {', '.join(SENTENCES)}")
        self.name = name
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.sentences_per_image = sentences_per_image
        self.image_size = image_size
        self.resize: Resize = resize
        self.seed = seed
        self.num_workers: int | Literal["auto"] = num_workers
        self.pixel_cache = None if cache is None else Path(cache)
        self.sentence = sentence
        self.check = check
        self.published = dict(published or {})
        self.mean, self.std = tuple(mean), tuple(std)
        self.collate = Collate(tokenizer, mean=mean, std=std)
        self._collate_learned = Collate(tokenizer, mean=mean, std=std, sentences_per_image=sentences_per_image)
        self._augmentation = list(augmentation)
        self.test_split = "test"  # what `trainer.test` scores; sbanet-evaluate sets it
        self._splits: dict[str, Samples] = {}

    @abstractmethod
    def dataset(self, split: str) -> RecordDataset:
        """Read a split.

        Raises:
            DataError: the split is unknown, or its files are missing or damaged.
        """

    def samples(self, split: str) -> Samples:
        """A split as the network sees it, that of training augmented; read once."""
        if split not in self._splits:
            dataset = self.dataset(split)
            records = swap_sentences(dataset.records, self.sentence)
            learned = split == "train"
            transform = self._transform(self._augmentation if learned else ())
            self._splits[split] = Samples(dataset, records, transform, native_masks=not learned)
        return self._splits[split]

    def _transform(self, steps: Sequence[A.BasicTransform | Step]) -> Transform:
        return Transform(steps, image_size=self.image_size, resize=self.resize)

    @property
    @abstractmethod
    def splits(self) -> Sequence[str]:
        """The names of the splits there are."""

    def fingerprint(self, splits: Sequence[str] | None = None) -> dict[str, str]:
        """A hash of the content of each split; of all of them unless some are named."""
        splits = self.splits if splits is None else splits
        return {split: self.samples(split).dataset.fingerprint for split in splits}

    def require_sound(self) -> None:
        """Refuse annotations with findings that change numbers, unless told not to look.

        Raises:
            DataError: with the findings.
        """
        if self.check:
            require_sound(str(self.name), {split: self.samples(split).dataset for split in self.splits}, self.published)

    def train_dataloader(self) -> DataLoader[Batch]:
        """The training batches of this rank."""
        trainer = self._trainer()
        samples = self.samples("train")
        progress = trainer.fit_loop.epoch_loop.batch_progress
        overfits = trainer.overfit_batches > 0  # type: ignore[attr-defined]  # then every epoch is the first
        batches = TrainBatches(
            [record.image for record in samples.records],
            global_batch=self.batch_size,
            ranks=trainer.world_size,
            rank=trainer.global_rank,
            accumulate=trainer.accumulate_grad_batches,
            seed=self.seed,
            position=lambda: (0 if overfits else trainer.current_epoch, progress.current.ready),
            sentences_per_image=self.sentences_per_image,
        )
        return self._loader(self._with_cache(samples), batches, self._collate_learned)

    def val_dataloader(self) -> DataLoader[Batch]:
        """The validation batches of this rank."""
        return self.eval_dataloader("val")

    def test_dataloader(self) -> DataLoader[Batch]:
        """The batches of `test_split` on this rank."""
        return self.eval_dataloader(self.test_split)

    def eval_dataloader(self, split: str) -> DataLoader[Batch]:
        """The evaluation batches of any split on this rank, that of training not augmented.

        Raises:
            ConfigError: there are fewer of them than ranks.
        """
        trainer = self._trainer()
        samples = self.samples(split)
        if len(samples) <= self.eval_batch_size * (trainer.world_size - 1):
            most = (len(samples) - 1) // (trainer.world_size - 1)
            advice = f"at most {most}, or " if most else ""
            raise ConfigError(
                f"data.eval_batch_size={self.eval_batch_size}: the split {split} has {len(samples)} samples, not a "
                f"batch for each of {trainer.world_size} ranks; choose {advice}fewer devices"
            )
        if split == "train":
            samples = Samples(samples.dataset, samples.records, self._transform(()))
        batches = EvalBatches(
            len(samples), batch_size=self.eval_batch_size, ranks=trainer.world_size, rank=trainer.global_rank
        )
        return self._loader(self._with_cache(samples), batches, self.collate)

    def _with_cache(self, samples: Samples) -> Samples:
        """The samples with their pixels cached, if the user wants that and the steps can use it."""
        if self.pixel_cache is None or samples.cached is not None:
            return samples
        if samples.transform.sees_native_size:
            logger.info("data.cache is not used for training: data.augmentation has a step at the images' own size")
            return samples
        samples.cached = cached_pixels(
            samples.dataset, samples.records, self.pixel_cache, side=self.image_size, resize=self.resize
        )
        return samples

    def _trainer(self) -> L.Trainer:
        if self.trainer is None:
            raise DataError("the data module has no trainer yet; pass it to trainer.fit, validate or test")
        return self.trainer

    def _loader(self, samples: Samples, batches: TrainBatches | EvalBatches, collate: Collate) -> DataLoader[Batch]:
        workers = suitable_workers(self._trainer().num_devices) if self.num_workers == "auto" else self.num_workers
        return LazyLoader(
            samples,  # type: ignore[arg-type]
            batch_sampler=batches,
            collate_fn=collate,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=loader_process.begin,
        )


class LazyLoader(DataLoader[Batch]):
    """Draws its batches from the first one on that is asked for, not from when the iterator is made.

    Lightning makes the iterator before it has found the place in the epoch that a continued run is at; loader
    processes would begin with the wrong batches. An error of ours in a loader process keeps its one line.
    """

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        try:
            yield from super().__iter__()
        except SbanetError as error:  # of a loader process, with its traceback written into the text
            raise type(error)(str(error).rpartition(f"{type(error).__name__}: ")[2].strip()) from error


def require_whole(least: int, **values: Any) -> None:
    """Refuse what is no whole number of at least `least`.

    Raises:
        ConfigError: with the key below `data`.
    """
    for key, value in values.items():
        if not isinstance(value, int) or value < least:
            raise ConfigError(f"data.{key}={value}: expected a whole number of {least} or more")


MOST_WORKERS = 4
"""Of a rank, where the number is left to us: more samples than they read no model of this task takes."""


def suitable_workers(ranks: int) -> int:
    """The loader processes of a rank: its share of the cores without the one that trains.

    Args:
        ranks: on this machine.
    """
    cores = len(os.sched_getaffinity(0))  # not those of the machine: a job may have a few of them
    cores = min(cores, int(os.environ.get("SLURM_CPUS_PER_TASK", cores)))
    if int(os.environ.get("SLURM_NTASKS", 1)) > 1:  # then each rank is a task, and has its cores alone
        ranks = 1
    return max(0, min(cores // ranks - 1, MOST_WORKERS))
