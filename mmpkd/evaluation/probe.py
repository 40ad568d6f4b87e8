"""A linear probe: what a student's frozen features know of labels that it was never taught.

Where a cohort shares no label with a student's training domain, its head says nothing there. A logistic regression on
the class token (Alain and Bengio, arXiv:1610.01644), fitted on the train split of that cohort, tells whether a teacher
of one domain makes features that serve the other.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mmpkd.cohorts.tables import CohortTables, read_tables
from mmpkd.config.evaluation import Evaluation, Probe
from mmpkd.evaluation.scores import PROBE, classification_rows, concatenate
from mmpkd.imaging.store import ImageStore
from mmpkd.logs import progress
from mmpkd.models.logistic import MultiLabelLogistic
from mmpkd.models.student import Student
from mmpkd.training.data import LabelledImages, labelled_images


@dataclass(frozen=True)
class ProbeTask:
    """A cohort whose labels are read out: its tables, labels, and the images to fit on and to test on."""

    tables: CohortTables
    labels: list[str]
    train: LabelledImages
    test: LabelledImages


def probe_tasks(
    folders: Iterable[Path],
    shards: Mapping[str, Sequence[str | Path]],
    labels: Mapping[str, list[str]],
    evaluation: Evaluation,
) -> dict[str, ProbeTask]:
    """The task of each cohort whose tables are in a folder of `folders`.

    Args:
        folders: of the cohorts' tables.
        shards: for each cohort the folders of its image store.
        labels: for each cohort the labels of its domain.
        evaluation: how many training images, and the seed that chooses them.
    """
    tasks = {}
    for folder in sorted(folders):
        tables, cohort = read_tables(folder), folder.name
        store = ImageStore([Path(shard) for shard in shards[cohort]])
        train, test = (labelled_images(tables, store, split, labels[cohort]) for split in ("train", "test"))
        rng = np.random.default_rng(evaluation.seed)
        tasks[cohort] = ProbeTask(tables, labels[cohort], drawn(train, evaluation.probe.images, rng), test)
    return tasks


def drawn(images: LabelledImages, count: int, rng: np.random.Generator) -> LabelledImages:
    """At most `count` of the images, in their order."""
    if len(images) <= count:
        return images
    rows = np.sort(rng.choice(len(images), size=count, replace=False))
    return replace(images, positions=images.positions[rows], labels=images.labels[rows])


def probe_scores(
    student: Student,
    tasks: Mapping[str, ProbeTask],
    config: Probe,
    batch_size: int,
    device: torch.device,
    **names: str | int,
) -> pd.DataFrame:
    """Rows `probe_logit` and `probe_target` of the long table.

    Args:
        student: whose features; it is not trained.
        tasks: by cohort.
        config: strength of the penalty.
        batch_size, device: of the forward passes.
        names: domain, arm and seed.
    """
    parts = []
    for cohort, task in tasks.items():
        logits = probe_logits(student, task.train, task.test, config.penalty, batch_size, device)
        known = np.isfinite(logits).all(axis=0)  # a label without a known image in training has no probe
        arrays = {
            "image_id": task.test.image_ids,
            "labels": np.array(task.labels)[known],
            "logits": logits[:, known],
        }
        parts.append(classification_rows(arrays, task.tables, {**names, "cohort": cohort}, PROBE))
    return concatenate(parts)


def probe_logits(
    student: Student,
    train: LabelledImages,
    test: LabelledImages,
    penalty: float,
    batch_size: int,
    device: torch.device,
) -> np.ndarray:
    """N x L logits of the test images, of one logistic regression a label on standardised features.

    NaN for a label that no training image knows.
    """
    fitted, tested = (class_tokens(student, images, batch_size, device) for images in (train, test))
    mean, deviation = fitted.mean(axis=0), fitted.std(axis=0)
    deviation[deviation == 0] = 1
    fitted, tested = (fitted - mean) / deviation, (tested - mean) / deviation
    return MultiLabelLogistic.fit(fitted, train.labels, penalty).predict_logits(tested)


@torch.no_grad()
def class_tokens(student: Student, images: LabelledImages, batch_size: int, device: torch.device) -> np.ndarray:
    """N x D float64: the embedding that the head reads."""
    student = student.to(device).eval()
    batches = progress(images.batches(batch_size), "features", total=-(-len(images) // batch_size), unit="batch")
    return torch.cat([student(batch.images.to(device)).embedding.cpu() for batch in batches]).double().numpy()
