"""The students' first weights."""

import numpy as np
import pandas as pd
import torch

from mmpkd.config.students import StudentConfig, Training
from mmpkd.phantom.shapes import draw_shapes
from mmpkd.students.data import ArrayStore, LabelledImages, Task
from mmpkd.students.first_weights import fit_weights, from_file, from_hub
from mmpkd.students.loop import train
from mmpkd.students.vit import Student, create

VALIDATION_SHARE = 0.1


def make_backbone(
    config: StudentConfig, training: Training, size: int, device: torch.device
) -> tuple[Student, pd.DataFrame]:
    """A student whose weights all arms and seeds start from.

    Args:
        config: the model, and where its first weights come from.
        training: the schedule of pretraining, except for what `config.backbone` says.
        size: side of the images in pixels.
        device: where pretraining runs.

    Returns:
        The student, and the history of its pretraining (empty if there was none).
    """
    backbone = config.backbone
    if backbone.source == "shapes":
        return pretrain_on_shapes(config, training, size, device)
    student = create(config, size, ["none"], backbone.seed)
    if backbone.source == "timm":
        fit_weights(student, from_hub(config), backbone)
    elif backbone.source == "file" and backbone.path is not None:
        fit_weights(student, from_file(backbone.path), backbone)
    return student, pd.DataFrame({"epoch": [], "loss": [], "validation_auroc": []})


def pretrain_on_shapes(
    config: StudentConfig, training: Training, size: int, device: torch.device
) -> tuple[Student, pd.DataFrame]:
    """Teaches the student to name generic shapes, so that seeds differ less than from scratch.

    Args:
        config: of the student.
        training: course of the pretraining.
        size: of images, in pixels per side.
        device: that computes.

    Returns:
        The student, and the history of its pretraining; arguments as for `make_backbone`.
    """
    backbone = config.backbone
    images, kinds = draw_shapes(backbone.images, size, np.random.default_rng(backbone.seed))
    store = ArrayStore(images)
    first = int(len(images) * VALIDATION_SHARE)
    validation, learnt = (
        LabelledImages(store, positions, kinds[positions])
        for positions in (np.arange(first), np.arange(first, len(images)))
    )
    student = create(config, size, [f"shape_{number}" for number in range(kinds.shape[1])], backbone.seed)
    alone = {"ema": 0.0, "patience": 0, "processes": 1}
    schedule = training.model_copy(update={"epochs": backbone.epochs, "learning_rate": backbone.learning_rate, **alone})
    trained = train(student, Task(learnt, validation), schedule, backbone.seed, device)
    return trained.student, trained.history
