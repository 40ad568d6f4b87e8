"""The students' first weights."""

import numpy as np
import pandas as pd
import torch

from mmpkd.cohorts.phantom.shapes import draw_shapes
from mmpkd.config.students import Arm, Student, Training
from mmpkd.models.student import Student as StudentModel
from mmpkd.models.student import create, load_backbone
from mmpkd.models.vision import timm
from mmpkd.training.data import ArrayStore, LabelledImages
from mmpkd.training.loop import train

VALIDATION_SHARE = 0.1


def make_backbone(
    config: Student, training: Training, size: int, device: torch.device
) -> tuple[StudentModel, pd.DataFrame]:
    """A student whose weights all arms and seeds start from, and the history of its pretraining (empty if none)."""
    backbone = config.backbone
    if backbone.source == "shapes":
        return pretrain_on_shapes(config, training, size, device)
    student = create(config, size, ["none"], backbone.seed)
    if backbone.source == "timm":
        copy_from_hub(student, config, size)
    elif backbone.source == "file":
        if not backbone.path.is_file():
            raise FileNotFoundError(f"student.backbone.path: there is no file {backbone.path}")
        load_backbone(student, backbone.path)
    return student, pd.DataFrame({"epoch": [], "loss": [], "validation_auroc": []})


def copy_from_hub(student: StudentModel, config: Student, size: int) -> None:
    """Weights that timm publishes for the model, with the patch embedding summed to one channel by timm itself."""
    try:
        pretrained = timm.create_model(
            config.model, pretrained=True, img_size=size, in_chans=1, num_classes=1, **config.arguments
        )
    except (OSError, RuntimeError) as error:
        raise RuntimeError(
            f"no pretrained weights of {config.model!r} could be had: {error}. Without a network, fetch them elsewhere "
            f"(hf download timm/{config.model}), copy the hub's cache folder here, and set HF_HOME to it"
        ) from error
    student.vit.load_state_dict(pretrained.state_dict())


def pretrain_on_shapes(
    config: Student, training: Training, size: int, device: torch.device
) -> tuple[StudentModel, pd.DataFrame]:
    """Teaches the student to name generic shapes, so that seeds differ less than from scratch."""
    backbone = config.backbone
    images, kinds = draw_shapes(backbone.images, size, np.random.default_rng(backbone.seed))
    store = ArrayStore(images)
    first = int(len(images) * VALIDATION_SHARE)
    validation, learnt = (
        LabelledImages(store, positions, kinds[positions])
        for positions in (np.arange(first), np.arange(first, len(images)))
    )
    student = create(config, size, [f"shape_{number}" for number in range(kinds.shape[1])], backbone.seed)
    schedule = training.model_copy(update={"epochs": backbone.epochs, "learning_rate": backbone.learning_rate})
    trained = train(student, learnt, validation, Arm(), schedule, backbone.seed, device)
    return trained.student, trained.history
