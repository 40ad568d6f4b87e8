"""The order of a training run: which images each step sees, and what its randomness is.

Everything random in a step comes from the seed, the epoch and the step alone. So a run that goes on from any step, or
that reads ahead in any number of threads, is the same run.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

from mmpkd.config.students import Training
from mmpkd.training.augmentation import Draws
from mmpkd.training.data import Batch, LabelledImages

Item, Made = TypeVar("Item"), TypeVar("Made")


@dataclass(frozen=True)
class Feed:
    """The batches of a run of training, whole ones alone.

    rank, processes: a process gets the pixels of every `processes`-th image of a batch, from number `rank` on.
    """

    images: LabelledImages
    training: Training
    seed: int
    rank: int = 0
    processes: int = 1

    @property
    def batch_size(self) -> int:
        """Images a step, over all processes."""
        size = min(self.training.batch_size, len(self.images))
        return max(size - size % self.processes, self.processes)

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        return len(self.images) // self.batch_size

    def epoch(self, epoch: int, first: int = 0) -> Iterator[tuple[int, Batch]]:
        """The steps of an epoch, numbered from 0, from `first` on, and their batches."""
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
    """`map(make, items)`, made ahead by `workers` threads; by the caller itself with none."""
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
