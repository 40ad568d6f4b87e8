"""What a linear probe is fitted on: class tokens of training images of other domains."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from mmpkd.cohorts.tables import CohortTables
from mmpkd.logs import progress
from mmpkd.students.data import LabelledImages, Pixels, labelled_images
from mmpkd.students.vit import Student


def probe_images(
    tables: Mapping[str, CohortTables], stores: Mapping[str, Pixels], cohorts: Sequence[str], count: int, seed: int
) -> dict[str, LabelledImages]:
    """For each of `cohorts` the stored images of its train split, at most `count`, drawn by `seed`."""
    return {
        cohort: drawn(labelled_images(tables[cohort], stores[cohort], "train", []), count, np.random.default_rng(seed))
        for cohort in cohorts
    }


def drawn(images: LabelledImages, count: int, rng: np.random.Generator) -> LabelledImages:
    """At most `count` of the images, in their order."""
    if len(images) <= count:
        return images
    rows = np.sort(rng.choice(len(images), size=count, replace=False))
    return replace(
        images, positions=images.positions[rows], labels=images.labels[rows], image_ids=images.image_ids[rows]
    )


def export_features(
    student: Student, images: Mapping[str, LabelledImages], batch_size: int, device: torch.device
) -> dict[str, np.ndarray]:
    """The content of `attention/.../seed<k>.features.npz`.

    Args:
        student: whose class tokens; it is not trained.
        images: by cohort.
        batch_size, device: of the forward passes.

    Returns:
        cohort N, image_id N, and embedding N x D float32, the class token that the head reads.
    """
    return {
        "cohort": np.repeat([*images], [len(part) for part in images.values()]),
        "image_id": np.concatenate([part.image_ids for part in images.values()]),
        "embedding": np.concatenate([class_tokens(student, part, batch_size, device) for part in images.values()]),
    }


@torch.no_grad()
def class_tokens(student: Student, images: LabelledImages, batch_size: int, device: torch.device) -> np.ndarray:
    """N x D float32: the embedding that the head reads."""
    student = student.to(device).eval()
    batches = progress(images.batches(batch_size), "features", total=-(-len(images) // batch_size), unit="batch")
    return torch.cat([student(batch.images.to(device)).embedding.cpu() for batch in batches]).numpy()
