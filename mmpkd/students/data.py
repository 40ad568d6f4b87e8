"""What a student learns from: images of the store with labels and the teacher's targets, and their order in a run.

Everything random in a step depends on the seed, the epoch and the step alone. So a run that continues from any step, or
that reads ahead in any number of threads, is the same run.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from mmpkd.cohorts.tables import CohortTables, is_among
from mmpkd.config.students import Arm, Training
from mmpkd.students.augmentation import Draws, augment
from mmpkd.students.losses import Problem, Targets


class Pixels(Protocol):
    """The part of `mmpkd.imaging.store.ImageStore` that training reads."""

    image_ids: np.ndarray

    def positions(self, image_ids: np.ndarray) -> np.ndarray:
        """Rows of the store."""

    def pixels(self, positions: np.ndarray) -> np.ndarray:
        """uint8, N x S x S."""


class ArrayStore:
    """An image store in memory: uint8, N x S x S."""

    def __init__(self, images: np.ndarray) -> None:
        self.images = images
        self.image_ids = np.arange(len(images))

    def positions(self, image_ids: np.ndarray) -> np.ndarray:
        """An image's identifier is its position."""
        return image_ids

    def pixels(self, positions: np.ndarray) -> np.ndarray:
        """The images at `positions`."""
        return self.images[positions]


@dataclass
class Batch:
    """Some images and what is to be learnt from them.

    Attributes:
        pixels: uint8, N x S x S.
        targets: labels and teacher of the batch, of which a process that trains with others may hold the pixels of a
            part alone.
        draws: the images' augmentation, or None.
    """

    pixels: torch.Tensor
    targets: Targets
    draws: Draws | None = None

    @property
    def images(self) -> torch.Tensor:
        """N x 1 x S x S float32, 0 to 1, augmented where that was drawn."""
        if self.draws is None:
            return self.pixels[:, None].float().div_(255)
        return augment(self.pixels, self.draws)

    def to(self, device: torch.device) -> "Batch":
        """The same batch on `device`."""
        moved: dict[str, Any] = {
            name: None if part is None else part.to(device, non_blocking=True)
            for name, part in vars(self.targets).items()
        }
        return Batch(
            self.pixels.to(device, non_blocking=True),
            Targets(**moved),
            None if self.draws is None else self.draws.to(device),
        )


def _none() -> np.ndarray:
    return np.empty(0, dtype=str)


@dataclass
class LabelledImages:
    """Rows of a store with their labels and, for training with a teacher, the teacher's targets.

    Attributes:
        positions: N, rows of `store`.
        labels: N x L float32 with NaN for unknown.
        teacher_logits: N x L or None.
        teacher_embedding: N x D or None.
        image_ids: N, or empty where the images are no patients', as patients and keys.
        patients: N, or empty.
        keys: study or image of the privileged record: N, or empty.
    """

    store: Pixels
    positions: np.ndarray
    labels: np.ndarray
    teacher_logits: np.ndarray | None = None
    teacher_embedding: np.ndarray | None = None
    image_ids: np.ndarray = field(default_factory=_none)
    patients: np.ndarray = field(default_factory=_none)
    keys: np.ndarray = field(default_factory=_none)

    def __len__(self) -> int:
        return len(self.positions)

    def batch(self, rows: np.ndarray, part: slice = slice(None)) -> Batch:
        """A batch without augmentation.

        Args:
            rows: of the batch, across all processes.
            part: which of them this process computes.

        Returns:
            The pixels of `rows[part]`, and the targets of all `rows`.
        """
        pixels = torch.from_numpy(self.store.pixels(self.positions[rows[part]]))
        teacher = (self.teacher_logits, self.teacher_embedding)
        of_teacher = (None if known is None else torch.from_numpy(known[rows]) for known in teacher)
        return Batch(pixels, Targets(torch.from_numpy(self.labels[rows]), *of_teacher))

    def batches(self, size: int) -> Iterator[Batch]:
        """All rows in order."""
        for start in range(0, len(self), size):
            yield self.batch(np.arange(start, min(start + size, len(self))))


@dataclass(frozen=True)
class Task:
    """What a student learns, and from whom.

    Attributes:
        images: of training, with the teacher's targets where the arm has a teacher.
        validation: images to select the epoch by.
        arm: the losses.
        problem: multi_label or single_label.
    """

    images: LabelledImages
    validation: LabelledImages
    arm: Arm = Arm()
    problem: Problem = "multi_label"


def with_teacher(images: LabelledImages, logits: np.ndarray, embedding: np.ndarray | None = None) -> LabelledImages:
    """The same images with a teacher's answers.

    Args:
        images: N of them.
        logits: N x L; NaN where the teacher has no answer.
        embedding: N x D, if the teacher has one.
    """
    return replace(
        images,
        teacher_logits=np.ascontiguousarray(logits, np.float32),
        teacher_embedding=None if embedding is None else np.ascontiguousarray(embedding, np.float32),
    )


def labelled_images(tables: CohortTables, store: Pixels, split: str, labels: list[str]) -> LabelledImages:
    """The stored images of a split, with the given labels (NaN for one that the cohort does not know).

    Args:
        tables: of the cohort.
        store: pixels of its images.
        split: train, validate or test.
        labels: in the order of the logits.

    Raises:
        ValueError: the split has no stored image.
    """
    table = tables.images.merge(tables.labels.reindex(columns=["image_id", *labels]), on="image_id")
    table = table[table["split"] == split]
    table = table[is_among(table["image_id"], store.image_ids)]
    if table.empty:
        raise ValueError(f"the {split} split has no stored image; see the cohort's rejected.csv for the reasons")
    return LabelledImages(
        store=store,
        positions=store.positions(table["image_id"].to_numpy()),
        labels=table[labels].to_numpy(np.float32),
        image_ids=table["image_id"].to_numpy(str),
        patients=table["patient_id"].to_numpy(str),
        keys=table[tables.key_name].to_numpy(str),
    )


Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Feed:
    """The batches of a run of training, whole ones alone.

    Attributes:
        rank: the number of this process.
        processes: a process gets the pixels of every `processes`-th image of a batch, from number `rank` on.
    """

    images: LabelledImages
    training: Training
    seed: int
    rank: int = 0
    processes: int = 1

    @property
    def batch_size(self) -> int:
        """Images per step, over all processes."""
        size = min(self.training.batch_size, len(self.images))
        return max(size - size % self.processes, self.processes)

    @property
    def steps(self) -> int:
        """Steps per epoch."""
        return len(self.images) // self.batch_size

    def epoch(self, epoch: int, first: int = 0) -> Iterator[tuple[int, Batch]]:
        """The steps of an epoch, and their batches.

        Args:
            epoch: decides the order of the images, with the seed.
            first: the step to begin with; steps are numbered from 0.

        Yields:
            The number of a step, and its batch.
        """
        order = torch.randperm(len(self.images), generator=generator_of(self.seed, epoch)).numpy()

        def batch(step: int) -> tuple[int, Batch]:
            rows = np.sort(order[step * self.batch_size : (step + 1) * self.batch_size])  # mapped rows, read forwards
            part = slice(self.rank, None, self.processes)
            made = self.images.batch(rows, part)
            made.draws = Draws.of(len(rows), self.training, generator_of(self.seed, epoch, step))[part]
            return step, made

        return read_ahead(batch, range(first, self.steps), self.training.workers)


def generator_of(*numbers: int) -> torch.Generator:
    """A generator that the numbers decide."""
    return torch.Generator().manual_seed(seed_of(*numbers))


def seed_of(*numbers: int) -> int:
    """One seed of several numbers, below 2^63."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def read_ahead(make: Callable[[Item], Made], items: Iterable[Item], workers: int) -> Iterator[Made]:
    """`map(make, items)`, made ahead by threads.

    Args:
        make: makes one of the results.
        items: what it is called with.
        workers: threads; with none the caller itself makes each result when it is asked for.

    Yields:
        The results, in the order of `items`.
    """
    if not workers:
        yield from map(make, items)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="feed") as pool:
        waiting: deque = deque()
        for item in items:
            waiting.append(pool.submit(make, item))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
