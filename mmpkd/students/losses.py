"""The losses of an arm. None of them looks at a region of interest.

Each loss is a function of the same four arguments, named as in the registry `mmpkd.config.students.LOSSES`:

    outputs: what the student says of a batch; floating point, all of one type
    targets: what is known of the batch; NaN is unknown, has no part in the loss and gets no gradient
    arm: its temperature and smoothing
    problem: multi_label, L findings that are each there or not; single_label, one of L classes

It returns a scalar: the mean over what is known, or zero, with a gradient of zero, where nothing is. Masks and not
indices leave out the unknown, so that on a GPU no step waits for a count.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from mmpkd.config.students import LOSSES, Arm
from mmpkd.students.vit import StudentOutput

Problem = Literal["multi_label", "single_label"]
Either = TypeVar("Either", StudentOutput, "Targets")

COINCIDE = 1e-4  # of the mean distance; a difference shorter than this is rounding and has no direction
ANGLES_AT_ONCE = 2**21  # 8 MB a tensor in float32; up to a batch of 128 at once


@dataclass(frozen=True)
class Targets:
    """What is known of N images; NaN is unknown.

    Attributes:
        labels: N x L, 1 or 0; with single_label one 1 per row.
        teacher_logits: N x L; None where the arm has no teacher.
        teacher_embedding: N x E, whole rows known or not; None where the arm has no teacher.
    """

    labels: torch.Tensor
    teacher_logits: torch.Tensor | None = None
    teacher_embedding: torch.Tensor | None = None


def label(outputs: StudentOutput, targets: Targets, arm: Arm, problem: Problem) -> torch.Tensor:
    """Cross-entropy of the student against the labels, which may be smoothed.

    multi_label: the binary one, mean over the known labels; single_label: mean over the rows with all labels known.
    With smoothing e, y becomes y (1 - e) + e / K: K is 2 with multi_label, where each finding is a choice of two,
    and L with single_label (Szegedy et al., CVPR 2016, arXiv:1512.00567, section 7).

    Args:
        outputs: `logits` N x L.
        targets: `labels` N x L.
        arm: `smoothing`, e.
        problem: multi_label or single_label.

    Returns:
        A scalar.
    """
    classes = targets.labels.shape[1] if problem == "single_label" else 2
    smoothed = _filled(targets.labels) * (1 - arm.smoothing) + arm.smoothing / classes
    return _mean(_cross_entropy(outputs.logits, smoothed, problem), _known(targets.labels, problem))


def logit(outputs: StudentOutput, targets: Targets, arm: Arm, problem: Problem) -> torch.Tensor:
    """Divergence of the student's softened answer from the teacher's.

    multi_label: T^2 * mean over known (image, label) of KL(Bernoulli(sigmoid(z_t / T)) || Bernoulli(sigmoid(z_s / T)));
    single_label: T^2 * mean over known images of KL(softmax(z_t / T) || softmax(z_s / T)).

    The factor T^2 keeps the size of the gradient when T changes (Hinton, Vinyals and Dean, arXiv:1503.02531,
    section 2). A divergence is the cross-entropy less the teacher's entropy, and is computed so.

    Args:
        outputs: `logits` N x L, z_s.
        targets: `teacher_logits` N x L, z_t.
        arm: `temperature`, T.
        problem: multi_label or single_label.

    Returns:
        A scalar.
    """
    teacher = _filled(_there(targets.teacher_logits)) / arm.temperature
    softened = _probabilities(teacher, problem)
    entropy = _cross_entropy(teacher, softened, problem)
    divergence = _cross_entropy(outputs.logits / arm.temperature, softened, problem) - entropy
    return arm.temperature**2 * _mean(divergence, _known(_there(targets.teacher_logits), problem))


def soft_label(outputs: StudentOutput, targets: Targets, arm: Arm, problem: Problem) -> torch.Tensor:
    """Cross-entropy of the student's answer, not softened, against the teacher's, softened by T.

    With weight 1 - lambda for `label` and lambda for this, the sum is the objective of generalised distillation,
    which unifies distillation and privileged information (Lopez-Paz et al., ICLR 2016, arXiv:1511.03643):
    (1 - lambda) CE(y, s(z_s)) + lambda CE(s(z_t / T), s(z_s)), with s the sigmoid (multi_label) or softmax.

    Args:
        outputs: `logits` N x L, z_s.
        targets: `teacher_logits` N x L, z_t.
        arm: `temperature`, T.
        problem: multi_label or single_label.

    Returns:
        A scalar.
    """
    softened = _probabilities(_filled(_there(targets.teacher_logits)) / arm.temperature, problem)
    return _mean(_cross_entropy(outputs.logits, softened, problem), _known(_there(targets.teacher_logits), problem))


def embedding_cosine(outputs: StudentOutput, targets: Targets, arm: Arm, problem: Problem) -> torch.Tensor:
    """One minus the cosine between the projected student embedding and the layer-normed teacher embedding.

    Layer normalisation takes away the offset and scale that a sentence encoder's dimensions have in common, which
    would otherwise dominate the cosine.

    Args:
        outputs: `projected` N x E.
        targets: `teacher_embedding` N x E.
        arm: not read.
        problem: not read.

    Returns:
        A scalar, mean over the known rows.
    """
    teacher, known = _normed_teacher(targets)
    return _mean(1 - functional.cosine_similarity(_there(outputs.projected), teacher, dim=1), known)


def embedding_mse(outputs: StudentOutput, targets: Targets, arm: Arm, problem: Problem) -> torch.Tensor:
    """Squared difference of the projected student and the layer-normed teacher embedding.

    Args:
        outputs: `projected` N x E.
        targets: `teacher_embedding` N x E.
        arm: not read.
        problem: not read.

    Returns:
        A scalar, mean over the known rows and E.
    """
    teacher, known = _normed_teacher(targets)
    return _mean((_there(outputs.projected) - teacher).square().mean(dim=1), known)


def embedding_smooth_l1(outputs: StudentOutput, targets: Targets, arm: Arm, problem: Problem) -> torch.Tensor:
    """As embedding_mse with the Huber function: d^2 / 2 for a difference |d| < 1, |d| - 1/2 beyond.

    Args:
        outputs: of the student.
        targets: of the teacher.
        arm: not read.
        problem: not read.
    """
    teacher, known = _normed_teacher(targets)
    return _mean(functional.smooth_l1_loss(_there(outputs.projected), teacher, reduction="none").mean(dim=1), known)


def relational_distance(outputs: StudentOutput, targets: Targets, arm: Arm, problem: Problem) -> torch.Tensor:
    """Huber function of the difference between the student's and the teacher's distances, mean over pairs of rows.

    Relational knowledge distillation, RKD-D (Park et al., CVPR 2019, arXiv:1904.05068, section 3.2). Distances
    are Euclidean between raw embeddings, over their mean over the known pairs i != j, so that the widths D and E and
    the scales may differ. Where that mean is zero, or fewer than two rows are known, there is nothing to compare.

    Args:
        outputs: `embedding` N x D.
        targets: `teacher_embedding` N x E.
        arm: not read.
        problem: not read.

    Returns:
        A scalar.
    """
    student, teacher, known = _distances(outputs, targets)
    student_mean, teacher_mean = _mean(student, known), _mean(teacher, known)
    known = known & (student_mean > 0) & (teacher_mean > 0)
    scaled = student / torch.where(student_mean > 0, student_mean, 1.0)
    wanted = teacher / torch.where(teacher_mean > 0, teacher_mean, 1.0)
    return _mean(functional.smooth_l1_loss(scaled, wanted, reduction="none"), known)


def relational_angle(outputs: StudentOutput, targets: Targets, arm: Arm, problem: Problem) -> torch.Tensor:
    """Huber function of the difference between the student's and the teacher's cosines, mean over triplets of rows.

    RKD-A of the same paper: the cosine at vertex j between the sides to i and to k, for
    ordered triplets of known rows that all differ. Where a side has no length, in student or teacher, as between two
    images of one study that share their report, there is no angle, and the triplet is left out.

    Time grows with N^3, memory with N^2 and `ANGLES_AT_ONCE`: beyond it, blocks of vertices are computed again in the
    backward pass.

    Args:
        outputs: `embedding` N x D.
        targets: `teacher_embedding` N x E.
        arm: not read.
        problem: not read.

    Returns:
        A scalar.
    """
    student, teacher, known = _distances(outputs, targets)
    shortest_student, shortest_teacher = COINCIDE * _mean(student, known), COINCIDE * _mean(teacher, known)
    known = known & (student > shortest_student) & (teacher > shortest_teacher)
    n = len(outputs.embedding)
    student, teacher, sides = _square(student, n), _square(teacher, n), _square(known, n)
    ends = sides.sum(dim=1)
    triplets = (ends * (ends - 1)).sum()
    step = max(1, ANGLES_AT_ONCE // n**2)
    block = _angle_block if step >= n else partial(checkpoint, _angle_block, use_reentrant=False)
    total = sum(block(student, teacher, sides, slice(first, first + step)) for first in range(0, n, step))
    return total / triplets.clamp(min=1)


def _functions() -> dict:
    """The loss of each name in the registry."""
    missing = [name for name in LOSSES if name not in globals()]
    if missing:
        raise NotImplementedError(
            f"LOSSES in mmpkd/config/students.py names {missing}, which {__name__} does not define"
        )
    return {name: globals()[name] for name in LOSSES}


FUNCTIONS = _functions()


def arm_loss(arm: Arm, outputs: StudentOutput, targets: Targets, problem: Problem, ramp: float = 1.0) -> dict:
    """The weighted terms of an arm by name; their sum, under `loss`, is what is minimised.

    Everything is computed in float32, or float64 where the outputs are, under autocast too.

    Args:
        arm: its losses and their weights.
        outputs: what the student says of the batch.
        targets: what is known of the batch.
        problem: multi_label or single_label.
        ramp: 0 to 1, a further factor of the weights of the losses that read the teacher.

    Raises:
        ValueError: a loss reads what the targets or the outputs do not hold.
    """
    _require(arm, outputs, targets)
    dtype = torch.promote_types(outputs.logits.dtype, torch.float32)
    outputs, targets = _cast(outputs, dtype), _cast(targets, dtype)
    with torch.autocast(outputs.logits.device.type, enabled=False):
        terms = {
            name: weight * (ramp if LOSSES[name] else 1.0) * FUNCTIONS[name](outputs, targets, arm, problem)
            for name, weight in arm.weights.items()
        }
    return {"loss": sum(terms.values()), **terms}


def _require(arm: Arm, outputs: StudentOutput, targets: Targets) -> None:
    parts = {"": targets.labels, "logits": targets.teacher_logits, "embedding": targets.teacher_embedding}
    for name in arm.weights:
        if parts[LOSSES[name]] is None:
            raise ValueError(
                f"losses.{name} reads the teacher's {LOSSES[name]}, which this teacher has not: leave it out"
            )
    if arm.projects and outputs.projected is None:
        raise ValueError("losses.embedding_* reads a projected embedding: the student needs a projector")


def _cast(batch: Either, dtype: torch.dtype) -> Either:
    parts: dict[str, Any] = {key: None if part is None else part.to(dtype) for key, part in vars(batch).items()}
    return type(batch)(**parts)


def _there(part: torch.Tensor | None) -> torch.Tensor:
    """A part that `_require` has found."""
    assert part is not None
    return part


def _mean(values: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Mean of `values` where `known`; zero, with a gradient, where nothing is."""
    return torch.where(known, values, 0.0).sum() / known.sum().clamp(min=1)


def _filled(target: torch.Tensor) -> torch.Tensor:
    """Zero for NaN, which would make a gradient NaN even where the value is not used."""
    return torch.where(target.isnan(), 0.0, target)


def _known(target: torch.Tensor, problem: Problem) -> torch.Tensor:
    """What counts: N x L with multi_label, whole rows, N, with single_label."""
    known = ~target.isnan()
    return known.all(dim=1) if problem == "single_label" else known


def _probabilities(logits: torch.Tensor, problem: Problem) -> torch.Tensor:
    return logits.softmax(dim=1) if problem == "single_label" else logits.sigmoid()


def _cross_entropy(logits: torch.Tensor, probabilities: torch.Tensor, problem: Problem) -> torch.Tensor:
    """Cross-entropy against soft labels, N x L: N x L with multi_label, N with single_label."""
    if problem == "single_label":
        return functional.cross_entropy(logits, probabilities, reduction="none")
    return functional.binary_cross_entropy_with_logits(logits, probabilities, reduction="none")


def _normed_teacher(targets: Targets) -> tuple[torch.Tensor, torch.Tensor]:
    """The teacher's embedding, layer-normed without weights, N x E, and which rows are known, N."""
    teacher = _there(targets.teacher_embedding)
    return functional.layer_norm(_filled(teacher), teacher.shape[1:]), ~teacher.isnan().any(dim=1)


def _distances(outputs: StudentOutput, targets: Targets) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Distances between rows of the student and of the teacher, and which are known; one for each pair i < j.

    pdist takes the difference before it squares: zero for equal rows, and there its gradient is zero too.
    """
    wanted = _there(targets.teacher_embedding)
    known = ~wanted.isnan().any(dim=1)
    first, second = torch.triu_indices(len(known), len(known), 1, device=known.device)
    student, teacher = torch.pdist(outputs.embedding), torch.pdist(_filled(wanted))
    return student, teacher, known[first] & known[second]


def _square(pairs: torch.Tensor, n: int) -> torch.Tensor:
    """The symmetric matrix, n x n with a diagonal of zeros, of one value for each pair i < j."""
    first, second = torch.triu_indices(n, n, 1, device=pairs.device)
    upper = pairs.new_zeros(n, n).index_put((first, second), pairs)
    return upper + upper.T


def _angle_block(student: torch.Tensor, teacher: torch.Tensor, sides: torch.Tensor, vertices: slice) -> torch.Tensor:
    """Sum of the Huber function over the angles at some vertices."""
    wanted = _cosines(teacher, sides, vertices)
    return functional.smooth_l1_loss(_cosines(student, sides, vertices), wanted, reduction="sum")


def _cosines(distances: torch.Tensor, sides: torch.Tensor, vertices: slice) -> torch.Tensor:
    """Cosines at V of N vertices between every two sides, V x N x N, by the law of cosines.

    cos(i, j, k) = (d_ji^2 + d_jk^2 - d_ik^2) / (2 d_ji d_jk); zero where a side is not in `sides`, N x N.
    """
    squares = distances.square()
    inverse = torch.where(sides, distances, torch.inf)[vertices].reciprocal()
    adjacent = squares[vertices]
    numerator = adjacent[:, :, None] + adjacent[:, None, :] - squares
    return numerator * (0.5 * inverse[:, :, None] * inverse[:, None, :])
