"""The student: a timm vision transformer that sees one grey image and nothing else."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from mmpkd.config.students import StudentConfig
from mmpkd.files import atomic
from mmpkd.students.class_token import PatchProjection, end_in_class_token
from mmpkd.students.vision import VisionTransformer, timm
from mmpkd.students.weight_names import HEADS

REMAKE = "make it again with the rule train_student"


class CheckpointError(ValueError):
    """A checkpoint does not fit the model; the message names the file and the tensors."""


@dataclass(frozen=True)
class StudentOutput:
    """The outputs for N images.

    Attributes:
        logits: N x L, before the sigmoid.
        embedding: N x D, the class token that the head reads.
        projected: N x E, the embedding mapped to the teacher's space; None if no loss of the arm reads it.
    """

    logits: torch.Tensor
    embedding: torch.Tensor
    projected: torch.Tensor | None = None


class Student(nn.Module):
    """A timm vision transformer with a class token and one logit per label.

    Attributes:
        vit: the timm model.
        labels: names of the logits.
        facts: what `load` needs to build it again, and what `save` was given besides.
    """

    vit: VisionTransformer

    def __init__(self, config: StudentConfig, size: int, labels: list[str]) -> None:
        """Builds the model with weights drawn from torch's global generator; see `create` for a seeded one.

        Raises:
            ValueError: unknown to timm, or not a vision transformer with a class token.
        """
        super().__init__()
        self.labels = list(labels)
        self.facts: dict[str, Any] = {"config": config.model_dump(mode="json"), "size": size, "labels": self.labels}
        try:
            self.vit = timm.create_model(
                config.model, img_size=size, in_chans=1, num_classes=len(labels), **config.arguments
            )
        except (RuntimeError, TypeError, AssertionError) as error:
            raise ValueError(
                f"student.model {config.model!r}, student.arguments {config.arguments}: {error}"
            ) from error
        refuse_unsuitable(self.vit, config.model, size)
        self.vit.patch_embed.proj = PatchProjection.of(self.vit.patch_embed.proj)
        end_in_class_token(self.vit)
        if hasattr(self.vit, "head_dist"):  # see `read`
            del self.vit.head_dist
        self.mean, self.std = config.mean, config.std

    def forward(self, images: torch.Tensor) -> StudentOutput:
        """Images N x 1 x S x S, grey values 0 to 1."""
        return self.read(self.vit.forward_features(self.normalise(images)))

    def read(self, tokens: torch.Tensor) -> StudentOutput:
        """What the class token says.

        A distilled transformer (DeiT) would average the heads of two tokens. Its distillation token stays, as one more
        token beside the patches, but has no head: the logits are those of the token whose attention is studied.

        Args:
            tokens: what `vit.forward_features` gives, N x T x D, or N x 1 x D; the class token comes first.
        """
        embedding = VisionTransformer.forward_head(self.vit, tokens, pre_logits=True)
        return StudentOutput(self.vit.head(embedding), embedding)

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """Grey values 0 to 1 as the transformer takes them."""
        return (images - self.mean) / self.std


def refuse_unsuitable(vit: VisionTransformer, model: str, size: int) -> None:
    """Refuses what has no class token that its head reads, or whose attention could not be exported after training.

    Args:
        vit: the model.
        model: its name in timm.
        size: of images, in pixels per side.

    Raises:
        ValueError: which of these, and what to choose instead.
    """
    fix = "choose a vision transformer of timm with a class token, such as vit_small_patch16_224"
    if not isinstance(vit, VisionTransformer) or not vit.has_class_token:
        raise ValueError(f"student.model {model!r} has no class token, or is no VisionTransformer of timm; {fix}")
    if vit.global_pool != "token":
        raise ValueError(
            f"student.model {model!r} classifies by pooling {vit.global_pool!r}, not by its class token, whose "
            "attention is what is studied; set global_pool: token in student.arguments"
        )
    if any(type(getattr(block, "attn", None)) is not timm.layers.Attention for block in vit.blocks):
        raise ValueError(f"student.model {model!r} has blocks whose attention cannot be read; {fix}")
    patch = vit.patch_embed.patch_size[0]
    if size % patch:
        raise ValueError(
            f"imaging.size {size} is no multiple of {patch}, the patch of student.model {model!r}, "
            "so that the last rows would not be seen; change one of them (patch_size in student.arguments)"
        )


def create(config: StudentConfig, size: int, labels: list[str], seed: int) -> Student:
    """A student with random weights.

    Args:
        config: the model.
        size: side of the images in pixels.
        labels: that it predicts, one logit each.
        seed: decides the weights, alone.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Student(config, size, labels)


def load_backbone(student: Student, path: str | Path) -> None:
    """Copies all weights but the head's from a file that `save` wrote.

    Args:
        student: that receives the weights.
        path: of the file.

    Raises:
        CheckpointError: tensors are missing or of another shape.
    """
    state = {name: tensor for name, tensor in load_file(path).items() if not name.startswith(HEADS)}
    wrong = describe_misfits(state, student.vit.state_dict())
    if wrong:
        raise CheckpointError(f"{path}: does not fit the student: {'; '.join(wrong[:3])} ({len(wrong)} tensors)")
    student.vit.load_state_dict(state, strict=False)


def create_control(config: StudentConfig, size: int, control: str, seed: int, backbone: str | Path) -> Student:
    """A student that was never fine-tuned.

    Args:
        config: the model.
        size: side of the images in pixels.
        control: `untrained`, with random weights, or `pretrained`, with the backbone's.
        seed: of the random weights.
        backbone: file of the first weights.
    """
    student = create(config, size, ["none"], seed)
    if control == "pretrained":
        load_backbone(student, backbone)
    return student


def describe_misfits(state: dict[str, torch.Tensor], own: dict[str, torch.Tensor]) -> list[str]:
    """One line for each tensor of a student, but the head's, that `state` lacks or has in another shape.

    Args:
        state: tensors of a file, by name.
        own: tensors of the student, by name.
    """
    return [
        f"{name} {tuple(state[name].shape) if name in state else 'missing'} instead of {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if not name.startswith(HEADS) and (name not in state or state[name].shape != tensor.shape)
    ]


def save(student: Student, path: str | Path, **facts: Any) -> None:
    """Writes a student's weights.

    Args:
        student: the metadata of the file holds what is needed to build it again.
        path: a safetensors file.
        **facts: further metadata, as JSON.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in student.vit.state_dict().items()}
    with atomic(path) as temporary:
        save_file(state, temporary, metadata={"mmpkd": json.dumps({**student.facts, **facts}, sort_keys=True)})


def load(path: str | Path) -> Student:
    """Reads what `save` wrote.

    Raises:
        CheckpointError: not such a file.
    """
    try:
        with safe_open(path, framework="pt") as archive:
            metadata = archive.metadata() or {}
    except SafetensorError as error:
        raise CheckpointError(f"{path}: no whole safetensors file ({error}); {REMAKE}") from error
    if "mmpkd" not in metadata:
        raise CheckpointError(f"{path}: not written by this project; {REMAKE}")
    try:
        facts = json.loads(metadata["mmpkd"])
        student = create(StudentConfig.model_validate(facts["config"]), facts["size"], facts["labels"], seed=0)
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: its metadata describe no student ({type(error).__name__}); {REMAKE}") from error
    try:
        student.vit.load_state_dict(load_file(path))
    except RuntimeError as error:
        raise CheckpointError(f"{path}: {error}") from error
    student.facts = facts
    return student.eval()


def log_odds(logits: torch.Tensor, problem: str) -> torch.Tensor:
    """For each label the logarithm of the odds that it is true, so that a sigmoid of it is its probability.

    Labels that are independent of each other (multi_label) have these as their logits. Where exactly one is true
    (single_label), log(p / (1 - p)) of a softmax p is the logit less the log-sum-exp of the others.

    Args:
        logits: N x L.
        problem: multi_label or single_label.
    """
    if problem == "multi_label":
        return logits
    own = torch.eye(logits.shape[1], dtype=torch.bool, device=logits.device)
    others = logits[:, None, :].masked_fill(own, -torch.inf).logsumexp(dim=2)
    return logits - others
