"""The vision students."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from mmpkd.config.base import Section


class Backbone(Section):
    """Where a student's first weights come from; made once, shared by all arms and seeds."""

    source: Literal["shapes", "timm", "file", "none"] = Field(
        "shapes", description="shapes: pretrain here on generic shapes; timm: the hub's weights; file; none: random"
    )
    path: Path | None = Field(None, description="file: a safetensors file of the model's state")
    images: int = Field(6000, ge=64, description="shapes: images to draw")
    epochs: int = Field(10, ge=1, description="shapes: passes over them")
    learning_rate: float = Field(2e-3, gt=0, description="shapes: peak learning rate")
    seed: int = Field(7, ge=0, description="seed of the shapes and of the first weights")

    @model_validator(mode="after")
    def _path_goes_with_file(self) -> "Backbone":
        if (self.source == "file") != (self.path is not None):
            raise ValueError("path goes with source: file, and only with it")
        return self


class Student(Section):
    """A timm vision transformer that sees one grey image."""

    model: str = Field("vit_tiny_patch16_224", description="name of a timm vision transformer with a class token")
    arguments: dict[str, bool | int | float | str] = Field(
        {"patch_size": 8, "embed_dim": 64, "depth": 3, "num_heads": 2, "mlp_ratio": 1.0, "qk_norm": True},
        description="further keyword arguments of timm.create_model; img_size and in_chans are set for you",
    )
    mean: float = Field(0.5, description="grey value (0 to 1) that is subtracted")
    std: float = Field(0.25, gt=0, description="grey value that is divided by")
    backbone: Backbone = Field(Backbone(), description="first weights")


class Training(Section):
    """The one training loop; the same for every arm."""

    epochs: int = Field(14, ge=1, description="passes over the training images")
    batch_size: int = Field(32, ge=1, description="images a step")
    learning_rate: float = Field(1e-3, gt=0, description="peak learning rate of AdamW")
    weight_decay: float = Field(0.05, ge=0, description="weight decay of AdamW, not applied to biases and norms")
    warmup: float = Field(0.1, ge=0, lt=1, description="share of the steps in which the learning rate rises")
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    shift: int = Field(2, ge=0, description="augmentation: largest shift in pixels, either way")
    contrast: float = Field(0.2, ge=0, lt=1, description="augmentation: largest relative change of contrast")
    brightness: float = Field(0.1, ge=0, lt=1, description="augmentation: largest change of the grey value (0 to 1)")


class Arm(Section):
    """How a student is taught. All arms of a seed share initialisation, data order, augmentation and budget."""

    teacher: Literal["none", "privileged", "shuffled"] = Field(
        "none", description="shuffled: the teacher's rows permuted among the training patients"
    )
    logits_weight: float = Field(0.0, ge=0, description="weight of the logit distillation")
    embedding_weight: float = Field(0.0, ge=0, description="weight of the embedding distillation")
    label_weight: float = Field(1.0, ge=0, description="weight of the labels' own loss")
    temperature: float = Field(1.0, gt=0, description="temperature of the logit distillation")

    @model_validator(mode="after")
    def _weights_go_with_a_teacher(self) -> "Arm":
        distils = self.logits_weight > 0 or self.embedding_weight > 0
        if distils != (self.teacher != "none"):
            raise ValueError("an arm with a teacher needs a positive logits_weight or embedding_weight, and vice versa")
        if not distils and self.label_weight == 0:
            raise ValueError("label_weight 0 leaves an arm without a teacher nothing to learn from")
        return self
