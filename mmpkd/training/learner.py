"""What is trained: the student, and the map from its embedding to the teacher's where a loss compares the two."""

import torch
from torch import nn

from mmpkd.config.students import Arm
from mmpkd.models.student import Student
from mmpkd.training.data import LabelledImages
from mmpkd.training.losses import Outputs


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
    """The student with the projector that its arm needs; `seed` decides the projector's first weights."""
    if not arm.projects:
        return Learner(student, None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Learner(student, make_projector(student.vit.num_features, images.teacher_embedding.shape[1], arm))


def make_projector(width: int, teacher_width: int, arm: Arm) -> nn.Module:
    """A linear map; `orthogonal`: one without bias whose rows or columns stay orthonormal.

    An orthogonal projector keeps the distances of the student's embedding, so that it cannot take over the task
    (Miles et al., VkD, arXiv:2403.06213).
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


def outputs_of(parts: tuple[torch.Tensor, ...]) -> Outputs:
    """What `Learner.forward` gave, by name."""
    return Outputs(*parts) if len(parts) == 3 else Outputs(*parts, None)
