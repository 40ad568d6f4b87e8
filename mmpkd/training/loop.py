"""The one training loop, for every student of every arm and for the backbone."""

import logging
from dataclasses import dataclass
from math import cos, pi

import numpy as np
import pandas as pd
import torch
from torch import nn

from mmpkd.auroc import macro_auroc
from mmpkd.config.students import Arm, Training
from mmpkd.logs import progress
from mmpkd.models.student import Student
from mmpkd.training.data import LabelledImages
from mmpkd.training.losses import arm_loss

log = logging.getLogger("mmpkd.training")


@dataclass
class Trained:
    """The student with the weights of the selected epoch, and one row an epoch."""

    student: Student
    history: pd.DataFrame


def resolve_device(device: str) -> torch.device:
    """`auto` is a GPU where there is one.

    Raises:
        ValueError: cuda was asked for and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: cuda is configured, and torch sees no GPU here; set device: auto or cpu")
    return torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")


def use_threads(threads: int) -> None:
    """Computes on `threads` threads, with algorithms whose result does not change from run to run."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)


def train(
    student: Student,
    training_images: LabelledImages,
    validation_images: LabelledImages,
    arm: Arm,
    training: Training,
    seed: int,
    device: torch.device,
) -> Trained:
    """Trains `student` and selects the epoch with the best macro AUROC on the validation labels.

    `seed` decides the data order and the augmentation, and is the same for all arms. Regions of interest play no part.
    """
    generator = torch.Generator().manual_seed(seed)
    student = student.to(device)
    projector = make_projector(student, training_images, arm, seed).to(device)
    optimizer = make_optimizer([student, projector], training)
    steps = max(len(training_images) // training.batch_size, 1) * training.epochs
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, steps, training))
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]

    rows, best, best_state = [], -np.inf, None
    for epoch in progress(range(1, training.epochs + 1), "training", unit="epoch"):
        student.train()
        sums: dict[str, torch.Tensor] = {}
        count = 0
        for batch in training_images.training_batches(training, generator):
            batch = batch.to(device)
            output = student(batch.images)
            projected = projector(output.embedding)
            terms = arm_loss(arm, output.logits, projected, batch.labels, batch.teacher_logits, batch.teacher_embedding)
            optimizer.zero_grad(set_to_none=True)
            terms["loss"].backward()
            nn.utils.clip_grad_norm_(parameters, training.clip)
            optimizer.step()
            scheduler.step()
            sums = {name: sums.get(name, 0.0) + term.detach() for name, term in terms.items()}
            count += 1
        losses = {name: float(total) / count for name, total in sums.items()}
        if not np.isfinite(losses["loss"]):
            raise FloatingPointError(f"the loss is {losses['loss']} in epoch {epoch}; lower training.learning_rate")
        auroc = macro_auroc(predict(student, validation_images, training.batch_size, device), validation_images.labels)
        rows.append({"epoch": epoch, **losses, "learning_rate": scheduler.get_last_lr()[0], "validation_auroc": auroc})
        log.info("epoch %d: loss %.4f, validation AUROC %.4f", epoch, losses["loss"], auroc)
        if best_state is None or auroc > best:
            best, best_state = auroc, {name: tensor.clone() for name, tensor in student.state_dict().items()}

    student.load_state_dict(best_state)
    history = pd.DataFrame(rows)
    history["selected"] = history.index == (history["validation_auroc"].fillna(-np.inf)).idxmax()
    return Trained(student.cpu().eval(), history)


@torch.no_grad()
def predict(student: Student, images: LabelledImages, batch_size: int, device: torch.device) -> np.ndarray:
    """Logits N x L of all rows, in order."""
    student.eval()
    logits = [student(batch.images.to(device)).logits.cpu() for batch in images.batches(batch_size)]
    return torch.cat(logits).numpy()


def make_projector(student: Student, images: LabelledImages, arm: Arm, seed: int) -> nn.Module:
    """A linear map from the student's embedding to the teacher's, used in training alone; else the identity."""
    if not arm.embedding_weight:
        return nn.Identity()
    projector = nn.Linear(student.vit.num_features, images.teacher_embedding.shape[1])
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        projector.weight.normal_(std=student.vit.num_features**-0.5, generator=generator)
        projector.bias.zero_()
    return projector


def make_optimizer(modules: list[nn.Module], training: Training) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter, arXiv:1711.05101) that decays matrices, not biases, norms or tokens."""
    parameters = [parameter for module in modules for parameter in module.parameters()]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1 and p.shape[0] > 1], "weight_decay": training.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1 or p.shape[0] == 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=training.learning_rate, fused=True)


def learning_rate_factor(step: int, steps: int, training: Training) -> float:
    """Linear warm-up, then a cosine to zero (Loshchilov and Hutter, arXiv:1608.03983, without restarts)."""
    warm = max(round(steps * training.warmup), 1)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + cos(pi * min((step - warm) / max(steps - warm, 1), 1.0)))
