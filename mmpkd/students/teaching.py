"""The teacher's targets for a student's training images: its own, another patient's, an image model's, or the mean."""

import numpy as np
import torch

from mmpkd.config.students import Arm
from mmpkd.students.data import LabelledImages, with_teacher
from mmpkd.students.vit import Student


def taught(
    images: LabelledImages, arm: Arm, targets: dict[str, np.ndarray], labels: list[str], rng: np.random.Generator
) -> LabelledImages:
    """The images with the privileged teacher's targets, or for a `shuffled` arm with those of other patients.

    Args:
        images: of training.
        arm: whose teacher is `privileged` or `shuffled`.
        targets: of `teachers/<domain>/<teacher>/targets.npz`.
        labels: the student's labels, in its order.
        rng: decides the other patients.
    """
    rows = np.arange(len(images))
    if arm.permuted:
        rows = shuffle_among_patients(images.patients, rng)
    return add_teacher(images, targets, labels, rows)


def taught_by_image(images: LabelledImages, teacher: Student, batch_size: int, device: torch.device) -> LabelledImages:
    """The images with the logits and embedding of another student, which saw these very images in its training.

    Args:
        images: N of them, read without augmentation.
        teacher: the other student; it is moved to `device`.
        batch_size: images per forward pass.
        device: where it runs.
    """
    teacher = teacher.to(device).eval()
    logits, embedding = [], []
    with torch.no_grad():
        for batch in images.batches(batch_size):
            output = teacher(batch.images.to(device))
            logits.append(output.logits.cpu())
            embedding.append(output.embedding.cpu())
    return with_teacher(images, torch.cat(logits).numpy(), torch.cat(embedding).numpy())


def taught_by_mean(images: LabelledImages, problem: str) -> LabelledImages:
    """The images, each with the same logits: those whose probabilities are the mean of each label over the images.

    The control for what the teacher says of an image: it says nothing of any. What is left is the softening of the
    targets. With weights 1 for `label` and `logit` a label y is pulled towards (y + p) / 2: label smoothing with the
    label's base rate p in place of one half.

    Unknown labels do not count, and a label that is unknown in all images stays unknown. A mean of 0 or 1 is moved by
    half an image, so that its logit is finite.

    Args:
        images: of training, whose labels are counted.
        problem: multi_label, the logits are log(p / (1 - p)); single_label, log(p), whose softmax is p.
    """
    known = (~np.isnan(images.labels)).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nansum(images.labels, axis=0, dtype=np.float64) / known
        mean = mean.clip(0.5 / known, 1 - 0.5 / known)
    logits = np.log(mean) if problem == "single_label" else np.log(mean) - np.log1p(-mean)
    return with_teacher(images, np.tile(logits, (len(images), 1)))


def add_teacher(
    images: LabelledImages, targets: dict[str, np.ndarray], labels: list[str], rows: np.ndarray
) -> LabelledImages:
    """The images, each with the target of a study or case; NaN where the teacher has none.

    Args:
        images: of training.
        targets: key K, labels, logits K x L and embedding K x D.
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
    known = (keys[found] == images.keys[rows])[:, None]
    if not known.any():
        raise ValueError("the teacher has a target for none of the training images; their keys do not match")
    columns = [list(targets["labels"]).index(label) for label in labels]
    taken = order[found]
    logits, embedding = targets["logits"][taken][:, columns], targets["embedding"][taken]
    return with_teacher(images, np.where(known, logits, np.nan), np.where(known, embedding, np.nan))


def shuffle_among_patients(patients: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows to take instead of each row, so that every row gets one of another patient.

    Patients are put into a random circle and each takes the rows of the next, in turn: what the targets look like
    stays, what they say of this patient is gone.

    Args:
        patients: N patient identifiers.
        rng: decides the circle.

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
