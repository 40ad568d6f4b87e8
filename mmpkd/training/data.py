"""What a student learns from: images of the store, their labels, and the teacher's targets."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
import torch

from mmpkd.cohorts.tables import CohortTables
from mmpkd.config.students import Training


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
    """Images N x 1 x S x S in 0 to 1, labels N x L, the teacher's logits N x L and embedding N x D, or None."""

    images: torch.Tensor
    labels: torch.Tensor
    teacher_logits: torch.Tensor | None = None
    teacher_embedding: torch.Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """The same batch on `device`."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return Batch(**{name: None if v is None else v.to(device, non_blocking=True) for name, v in values.items()})


@dataclass
class LabelledImages:
    """Rows of a store with their labels and, for training with a teacher, the teacher's targets.

    positions: N, rows of `store`. labels: N x L float32 with NaN for unknown. teacher_logits: N x L or None.
    teacher_embedding: N x D or None. image_ids, patients and keys (study or image of the privileged record): N.
    """

    store: Pixels
    positions: np.ndarray
    labels: np.ndarray
    teacher_logits: np.ndarray | None = None
    teacher_embedding: np.ndarray | None = None
    image_ids: np.ndarray | None = None
    patients: np.ndarray | None = None
    keys: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.positions)

    def batch(self, rows: np.ndarray) -> Batch:
        """The given rows, without augmentation."""
        pixels = torch.from_numpy(self.store.pixels(self.positions[rows]))
        taken = (
            None if a is None else torch.from_numpy(a[rows]) for a in (self.teacher_logits, self.teacher_embedding)
        )
        return Batch(pixels[:, None].float().div_(255), torch.from_numpy(self.labels[rows]), *taken)

    def batches(self, size: int) -> Iterator[Batch]:
        """All rows in order."""
        for start in range(0, len(self), size):
            yield self.batch(np.arange(start, min(start + size, len(self))))

    def training_batches(self, training: Training, generator: torch.Generator) -> Iterator[Batch]:
        """One shuffled, augmented epoch of whole batches; `generator` alone decides order and augmentation."""
        order = torch.randperm(len(self), generator=generator).numpy()
        size = min(training.batch_size, len(self))
        for start in range(0, len(self) - size + 1, size):
            batch = self.batch(np.sort(order[start : start + size]))  # sorted: memory-mapped rows are read forwards
            batch.images = augment(batch.images, training, generator)
            yield batch


def augment(images: torch.Tensor, training: Training, generator: torch.Generator) -> torch.Tensor:
    """Shifts each image by whole pixels (edges repeated) and changes its contrast and brightness.

    No flip: laterality is a finding's property in both domains.
    """
    count, _, size, _ = images.shape
    if training.shift:
        offsets = torch.randint(-training.shift, training.shift + 1, (2, count, 1), generator=generator)
        rows, columns = (torch.arange(size) + offsets).clamp_(0, size - 1)
        images = images[torch.arange(count)[:, None, None], 0, rows[:, :, None], columns[:, None, :]][:, None]
    draws = torch.rand((2, count, 1, 1, 1), generator=generator) * 2 - 1
    contrast, brightness = 1 + training.contrast * draws[0], training.brightness * draws[1]
    middle = images.mean(dim=(2, 3), keepdim=True)
    return ((images - middle) * contrast + middle + brightness).clamp_(0, 1)


def shuffle_among_patients(patients: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows to take instead of each row, so that every row gets one of another patient.

    Patients are put into a random circle and each takes the rows of the next, in turn: what the targets look like
    stays, what they say of this patient is gone.

    Args:
        patients: N patient identifiers.

    Raises:
        ValueError: fewer than two patients.
    """
    names, codes = np.unique(patients, return_inverse=True)
    if len(names) < 2:
        raise ValueError("the shuffled teacher needs at least two training patients")
    circle = rng.permutation(len(names))
    following = np.empty(len(names), dtype=int)
    following[circle] = np.roll(circle, -1)
    rows = np.argsort(codes, kind="stable")  # rows patient by patient
    counts = np.bincount(codes)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    within = np.empty(len(codes), dtype=int)
    within[rows] = np.arange(len(codes)) - np.repeat(first, counts)  # a row's number within its patient
    donor = following[codes]
    return rows[first[donor] + within % counts[donor]]


def labelled_images(tables: CohortTables, store: Pixels, split: str, labels: list[str]) -> LabelledImages:
    """The stored images of a split, with the given labels (NaN for one that the cohort does not know).

    Raises:
        ValueError: the split has no stored image.
    """
    table = tables.images.merge(tables.labels.reindex(columns=["image_id", *labels]), on="image_id")
    table = table[(table["split"] == split) & table["image_id"].isin(store.image_ids)]
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


def add_teacher(images: LabelledImages, targets: dict[str, np.ndarray], labels: list[str], rows: np.ndarray) -> None:
    """Gives each image the target of its study or case; NaN where the teacher has none.

    Args:
        images: changed in place.
        targets: of `teachers/<domain>/targets.npz`.
        labels: the student's labels, in its order.
        rows: for each image the row of `images` whose target it takes; `numpy.arange` for its own.

    Raises:
        ValueError: the teacher does not know a label, or none of the images.
    """
    missing = set(labels) - set(targets["labels"])
    if missing:
        raise ValueError(
            f"the teacher has no logits of {sorted(missing)}; make its targets again with the rule teacher"
        )
    order = np.argsort(targets["key"])
    keys = targets["key"][order]
    found = np.searchsorted(keys, images.keys[rows]).clip(max=len(keys) - 1)
    known = keys[found] == images.keys[rows]
    if not known.any():
        raise ValueError("the teacher has a target for none of the training images; their keys do not match")
    columns = [list(targets["labels"]).index(label) for label in labels]
    taken = order[found]
    images.teacher_logits = np.where(known[:, None], targets["logits"][taken][:, columns], np.nan).astype(np.float32)
    images.teacher_embedding = np.where(known[:, None], targets["embedding"][taken], np.nan).astype(np.float32)
