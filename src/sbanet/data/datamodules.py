"""One LightningDataModule a dataset, over one shared base."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import albumentations as A
import cv2
import lightning as L
import torch
from torch.utils.data import DataLoader

from sbanet.data.aeroscenes import AeroScenes
from sbanet.data.augmentation import Step
from sbanet.data.batching import Collate, Samples
from sbanet.data.datasets import SENTENCES, RecordDataset, swap_sentences
from sbanet.data.grammar import Grammar
from sbanet.data.instances import Instances
from sbanet.data.records import Batch
from sbanet.data.sampling import EvalBatches, TrainBatches
from sbanet.data.scene_cache import SceneSet
from sbanet.data.scenes import SceneConfig
from sbanet.data.transforms import Transform
from sbanet.errors import ConfigError, DataError
from sbanet.resizing import Resize, require_known

logger = logging.getLogger(__name__)


class ReferringDataModule(L.LightningDataModule, ABC):
    """Batches of a referring segmentation dataset; a subclass says how a split is read.

    Args:
        name: of the dataset, in tables and run folders.
        tokenizer: of the model's text encoder.
        batch_size: *global* batch of training: samples an optimiser step, over all ranks and accumulation steps.
        eval_batch_size: samples an evaluation batch on one rank.
        image_size: side of the square that the network sees, in pixels.
        resize: how images come to that size, `area` or `pillow`; see `sbanet.resizing`.
        seed: of order and augmentation.
        num_workers: loader processes a rank; 0 = load in the main process.
        augmentation: steps of the training split: of `sbanet.data.augmentation`, or albumentations transforms that
            leave the sentence true.
        sentence: `own`, or a control: `other` = that of another object of the image, `none` = empty.
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
        image_size: int,
        seed: int,
        num_workers: int = 0,
        resize: Resize = "area",
        augmentation: Sequence[A.BasicTransform | Step] = (),
        sentence: Literal["own", "other", "none"] = "own",
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0, 1.0),
    ) -> None:
        super().__init__()
        _require_whole(1, batch_size=batch_size, eval_batch_size=eval_batch_size, image_size=image_size)
        _require_whole(0, seed=seed, num_workers=num_workers)
        require_known(resize, key="data.resize")
        if sentence not in SENTENCES:
            raise ConfigError(f"data.sentence={sentence}: expected {', '.join(SENTENCES)}")
        self.name = name
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.image_size = image_size
        self.resize: Resize = resize
        self.seed = seed
        self.num_workers = num_workers
        self.sentence = sentence
        self.mean, self.std = tuple(mean), tuple(std)
        self.collate = Collate(tokenizer, mean=mean, std=std)
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
        """A split as the network sees it; read once."""
        if split not in self._splits:
            dataset = self.dataset(split)
            steps = self._augmentation if split == "train" else ()
            transform = Transform(steps, image_size=self.image_size, resize=self.resize)
            self._splits[split] = Samples(dataset, swap_sentences(dataset.records, self.sentence), transform)
        return self._splits[split]

    @property
    @abstractmethod
    def splits(self) -> Sequence[str]:
        """The names of the splits there are."""

    def fingerprint(self, splits: Sequence[str] | None = None) -> dict[str, str]:
        """A hash of the content of each split; of all of them unless some are named."""
        splits = self.splits if splits is None else splits
        return {split: self.samples(split).dataset.fingerprint for split in splits}

    def train_dataloader(self) -> DataLoader[Batch]:
        """The training batches of this rank."""
        trainer = self._trainer()
        samples = self.samples("train")
        progress = trainer.fit_loop.epoch_loop.batch_progress
        overfits = trainer.overfit_batches > 0  # type: ignore[attr-defined]  # then every epoch is the first
        batches = TrainBatches(
            len(samples),
            global_batch=self.batch_size,
            ranks=trainer.world_size,
            rank=trainer.global_rank,
            accumulate=trainer.accumulate_grad_batches,
            seed=self.seed,
            position=lambda: (0 if overfits else trainer.current_epoch, progress.current.ready),
        )
        return self._loader(samples, batches)

    def val_dataloader(self) -> DataLoader[Batch]:
        """The validation batches of this rank."""
        return self.eval_dataloader("val")

    def test_dataloader(self) -> DataLoader[Batch]:
        """The batches of `test_split` on this rank."""
        return self.eval_dataloader(self.test_split)

    def eval_dataloader(self, split: str) -> DataLoader[Batch]:
        """The evaluation batches of any split on this rank."""
        trainer = self._trainer()
        samples = self.samples(split)
        batches = EvalBatches(
            len(samples), batch_size=self.eval_batch_size, ranks=trainer.world_size, rank=trainer.global_rank
        )
        return self._loader(samples, batches)

    def _trainer(self) -> L.Trainer:
        if self.trainer is None:
            raise DataError("the data module has no trainer yet; pass it to trainer.fit, validate or test")
        return self.trainer

    def _loader(self, samples: Samples, batches: TrainBatches | EvalBatches) -> DataLoader[Batch]:
        return DataLoader(
            samples,  # type: ignore[arg-type]
            batch_sampler=batches,
            collate_fn=self.collate,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_single_threaded,
        )


class AeroScenesDataModule(ReferringDataModule):
    """The built-in procedural dataset.

    Args:
        scenes: what scenes are like; their size need not be the network's.
        grammar: writes the expressions.
        scenes_per_split: number of scenes of train, val and test.
        expressions_per_scene: at most so many samples a scene.
        scene_seed: the dataset's own seed: another one is another dataset.
        cache: folder of the drawn scenes.
        options: see `ReferringDataModule`.

    Raises:
        ConfigError: a number below its least.
    """

    SPLITS = ("train", "val", "test")
    SPLIT_STRIDE = 10_000_000  # the scene numbers of a split start at a multiple of this

    def __init__(
        self,
        *,
        scenes: SceneConfig,
        grammar: Grammar,
        scenes_per_split: Mapping[str, int],
        expressions_per_scene: int,
        scene_seed: int,
        cache: str | Path,
        **options: Any,
    ) -> None:
        super().__init__(name="aeroscenes", **options)
        _require_whole(0, scene_seed=scene_seed)
        _require_whole(1, expressions_per_scene=expressions_per_scene)
        _require_whole(1, **{f"scenes_per_split.{split}": count for split, count in scenes_per_split.items()})
        self.scenes = scenes
        self.grammar = grammar
        self.scenes_per_split = dict(scenes_per_split)
        self.expressions_per_scene = expressions_per_scene
        self.scene_seed = scene_seed
        self.cache = Path(cache)

    @property
    def splits(self) -> Sequence[str]:
        """The names of the splits there are."""
        return list(self.scenes_per_split)

    def prepare_data(self) -> None:
        """Draw what the cache lacks (on one process a machine); a test asks for its split alone."""
        tests = self.trainer is not None and self.trainer.testing
        for split in (self.test_split,) if tests else self.scenes_per_split:
            self.dataset(split)

    def scene_set(self, split: str) -> SceneSet:
        """The scenes of a split.

        Raises:
            DataError: the split is unknown.
        """
        if split not in self.SPLITS or split not in self.scenes_per_split:
            known = ", ".join(name for name in self.SPLITS if name in self.scenes_per_split)
            raise DataError(f"split={split!r}: AeroScenes has no such split; known: {known}")
        return SceneSet(
            scenes=self.scenes,
            grammar=self.grammar,
            seed=self.scene_seed,
            split=split,
            first=self.SPLITS.index(split) * self.SPLIT_STRIDE,
            count=self.scenes_per_split[split],
            expressions_per_scene=self.expressions_per_scene,
        )

    def dataset(self, split: str) -> AeroScenes:
        """A split; drawn first where the cache lacks it."""
        return AeroScenes(self.scene_set(split), self.cache)


class InstancesDataModule(ReferringDataModule):
    """Any dataset with COCO instance annotations; the grammar writes its sentences.

    Args:
        name: of the dataset, in tables and run folders.
        root: folder of the dataset.
        annotations: the json of each split, below the root.
        images: folder of the images, below the root.
        grammar: writes the expressions.
        expressions_per_image: most sentences of an image, by split.
        category_share: most of a split's sentences that name a category alone.
        expression_seed: of the choice of sentences; another one is another dataset.
        options: of every dataset.

    Raises:
        ConfigError: a count or share out of its range.
    """

    def __init__(
        self,
        *,
        name: str,
        root: str | Path,
        annotations: Mapping[str, str],
        images: str,
        grammar: Grammar,
        expressions_per_image: Mapping[str, int],
        category_share: float,
        expression_seed: int,
        **options: Any,
    ) -> None:
        super().__init__(name=name, **options)
        _require_whole(0, expression_seed=expression_seed)
        _require_whole(1, **{f"expressions_per_image.{split}": count for split, count in expressions_per_image.items()})
        if not 0 <= category_share <= 1:
            raise ConfigError(f"data.category_share={category_share}: expected 0 to 1")
        self.root = Path(root)
        self.annotations = dict(annotations)
        self.images = images
        self.grammar = grammar
        self.expressions_per_image = dict(expressions_per_image)
        self.category_share = category_share
        self.expression_seed = expression_seed

    @property
    def splits(self) -> Sequence[str]:
        """The names of the splits there are."""
        return list(self.annotations)

    def dataset(self, split: str) -> Instances:
        """Read a split's annotations and write its sentences."""
        if split not in self.annotations or split not in self.expressions_per_image:
            raise DataError(f"split={split!r}: {self.name} has no such split; known: {', '.join(self.annotations)}")
        return Instances(
            self.root / self.annotations[split],
            self.root / self.images,
            split=split,
            grammar=self.grammar,
            expressions_per_image=self.expressions_per_image[split],
            category_share=self.category_share,
            seed=self.expression_seed,
        )


def _require_whole(least: int, **values: Any) -> None:
    for key, value in values.items():
        if not isinstance(value, int) or value < least:
            raise ConfigError(f"data.{key}={value}: expected a whole number of {least} or more")


def _single_threaded(_: int) -> None:
    """A loader process has one core; more threads would only compete with training."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
