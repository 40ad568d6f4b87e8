"""What is trained, by one process or several: the student, and the projector that some losses of an arm need.

The engine is Lightning Fabric. A student is the same within rounding, however many processes train it. Every process
holds the whole student and sees a part of each batch. The losses look at the batch as a whole (the count of known
labels, the distances between images), so the outputs are gathered before the loss, and each process follows the
gradient through its own part.
"""

import logging

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment
from torch import nn

from mmpkd.config.students import Arm, Training
from mmpkd.device import launched
from mmpkd.students.data import LabelledImages
from mmpkd.students.vit import Student, StudentOutput

for _talkative in ("lightning_fabric.utilities.rank_zero", "lightning_fabric.utilities.seed"):
    logging.getLogger(_talkative).setLevel(logging.WARNING)


class Learner(nn.Module):
    """The student and its projector, as one module that an engine can wrap; the projector is not kept."""

    def __init__(self, student: Student, projector: nn.Module | None) -> None:
        super().__init__()
        self.student = student
        self.projector = projector or nn.Identity()
        self.projects = projector is not None

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Logits N x L, embedding N x D and, with a projector, the projected embedding N x E, of N x 1 x S x S."""
        output = self.student(images)
        if not self.projects:
            return output.logits, output.embedding
        return output.logits, output.embedding, self.projector(output.embedding)


def make_learner(student: Student, images: LabelledImages, arm: Arm, seed: int) -> Learner:
    """The student with the projector that its arm needs.

    Args:
        student: taken as it is.
        images: with the teacher's embedding, if the arm projects; its width is the projector's.
        arm: its losses say whether there is a projector, and `projector` which.
        seed: decides the projector's first weights.
    """
    if not arm.projects:
        return Learner(student, None)
    assert images.teacher_embedding is not None  # `Arm` refuses the loss for a teacher without
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Learner(student, make_projector(student.vit.num_features, images.teacher_embedding.shape[1], arm))


def make_projector(width: int, teacher_width: int, arm: Arm) -> nn.Module:
    """The map from the student's embedding to the teacher's.

    An orthogonal projector keeps the distances of the student's embedding, so that it cannot take over the task
    (Miles et al., VkD, arXiv:2403.06213).

    Args:
        width: of the student's embedding, D.
        teacher_width: of the teacher's embedding, E.
        arm: its `projector` is linear, or `orthogonal`: without bias, with rows or columns that stay orthonormal.

    Returns:
        A module from N x D to N x E.
    """
    if arm.projector == "orthogonal":
        # not torch's default, the Householder map: weight decay moves its signs off one, and it truncates them to zero
        return nn.utils.parametrizations.orthogonal(
            nn.Linear(width, teacher_width, bias=False), orthogonal_map="cayley"
        )
    projector = nn.Linear(width, teacher_width)
    nn.init.normal_(projector.weight, std=width**-0.5)
    nn.init.zeros_(projector.bias)
    return projector


def outputs_of(parts: tuple[torch.Tensor, ...]) -> StudentOutput:
    """What `Learner.forward` gave, by name."""
    return StudentOutput(*parts)


def start(training: Training, device: torch.device) -> Fabric:
    """Starts `training.processes` processes on GPUs, or on CPUs, and gives each of them its engine.

    On one node the others are copies of this very script. Where srun (see `mmpkd.device.spread`) or torchrun
    has already started them all, on one node or several, they are taken as they are.

    Args:
        training: how many processes and nodes, and the precision.
        device: its kind, cuda or cpu, is that of all processes.
    """
    fabric = Fabric(
        accelerator="cuda" if device.type == "cuda" else "cpu",
        devices=training.processes // training.nodes,
        num_nodes=training.nodes,
        strategy="ddp_find_unused_parameters_true" if training.processes > 1 else "auto",
        precision="bf16-mixed" if training.precision == "bf16" else "32-true",
        plugins=None if launched(training.processes) else [LightningEnvironment()],
    )
    fabric.launch()
    return fabric


def wrapped(fabric: Fabric, learner: Learner, training: Training) -> torch.nn.Module:
    """The learner as the engine runs it.

    Args:
        fabric: the engine of this process.
        learner: the student and its projector.
        training: says whether the learner is compiled.

    Returns:
        The learner on its device, compiled if configured, synchronised with other processes.
    """
    model = torch.compile(learner) if training.compile else learner
    return fabric.setup_module(model)  # type: ignore[arg-type]  # a compiled module is a module


def gathered(fabric: Fabric, outputs: StudentOutput) -> StudentOutput:
    """The outputs of the whole batch, in its order; the gradient goes through this process's own part.

    Args:
        fabric: that knows the other processes.
        outputs: of this process's part of the batch.

    Raises:
        RuntimeError: the processes hold different numbers of images (by torch.distributed).
    """
    if fabric.world_size == 1:
        return outputs
    logits, embedding = _interleaved(fabric, outputs.logits), _interleaved(fabric, outputs.embedding)
    return StudentOutput(
        logits, embedding, None if outputs.projected is None else _interleaved(fabric, outputs.projected)
    )


def _interleaved(fabric: Fabric, own: torch.Tensor) -> torch.Tensor:
    parts = list(fabric.all_gather(own.detach()))
    parts[fabric.global_rank] = own
    return torch.stack(parts, dim=1).flatten(0, 1)  # image i of process r is image i * processes + r of the batch
