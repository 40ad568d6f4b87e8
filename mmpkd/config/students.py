"""The vision students."""

from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from mmpkd.config.base import Section
from mmpkd.config.folders import HomePath


class Backbone(Section):
    """Where a student's first weights come from; made once, shared by all arms and seeds."""

    source: Literal["shapes", "timm", "file", "none"] = Field(
        "timm",
        description="shapes: pretrain here on generic shapes; timm: the hub's weights; file; none: random",
    )
    path: HomePath | None = Field(None, description="file: safetensors, or a torch state dict")
    mean: list[float] | None = Field(
        None, description="timm, file: mean a channel (0 to 1) that the weights expect; null: what timm states of model"
    )
    std: list[PositiveFloat] | None = Field(None, description="timm, file: deviation a channel; null: likewise")
    resample_patches: bool = Field(False, description="timm, file: resample weights made for patches of another size")
    images: int = Field(6000, ge=64, description="shapes: images to draw")
    epochs: int = Field(30, ge=1, description="shapes: passes over them")
    learning_rate: float = Field(2e-3, gt=0, description="shapes: peak learning rate")
    seed: int = Field(7, ge=0, lt=2**32, description="seed of the shapes and of the first weights")

    @model_validator(mode="after")
    def _path_goes_with_file(self) -> "Backbone":
        if (self.source == "file") != (self.path is not None):
            raise ValueError("path goes with source: file, and only with it")
        return self

    @model_validator(mode="after")
    def _mean_goes_with_std(self) -> "Backbone":
        if (self.mean is None) != (self.std is None) or len(self.mean or ()) != len(self.std or ()):
            raise ValueError("mean and std go together, one value of each a channel")
        if self.mean is not None and len(self.mean) not in (1, 3):
            raise ValueError("mean and std have one value, or three")
        if (self.mean is not None or self.resample_patches) and self.source not in ("timm", "file"):
            raise ValueError("mean, std and resample_patches go with source: timm or file")
        return self


class StudentConfig(Section):
    """A timm vision transformer that sees one grey image."""

    model: str = Field(
        "vit_small_patch16_224.augreg_in21k_ft_in1k",
        description="name of a timm vision transformer with a class token",
    )
    arguments: dict[str, bool | int | float | str] = Field(
        {},
        description="further keyword arguments of timm.create_model; img_size and in_chans are set for you",
    )
    mean: float = Field(0.5, description="grey value (0 to 1) that is subtracted; first weights are fitted to it")
    std: float = Field(0.5, gt=0, description="grey value that is divided by; first weights are fitted to it")
    backbone: Backbone = Field(Backbone(), description="first weights")


class Training(Section):
    """The one training loop; the same for every arm."""

    epochs: int = Field(10, ge=1, description="passes over the training images")
    batch_size: int = Field(64, ge=1, description="images per step, over all processes")
    learning_rate: float = Field(1e-4, gt=0, description="peak learning rate of AdamW")
    weight_decay: float = Field(0.05, ge=0, description="weight decay of AdamW, not applied to biases and norms")
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="factor of the learning rate from each block to the one below it"
    )
    warmup: float = Field(0.1, ge=0, lt=1, description="share of the steps in which the learning rate rises")
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    ema: float = Field(
        0.0, ge=0, lt=1, description="decay a step of the moving average of the weights that is kept; 0: the weights"
    )
    patience: int = Field(
        0, ge=0, description="epochs without a better validation AUROC after which training stops; 0: never"
    )
    shift: int = Field(0, ge=0, description="augmentation: largest shift in pixels, either way")
    contrast: float = Field(0.0, ge=0, lt=1, description="augmentation: largest relative change of contrast")
    brightness: float = Field(0.0, ge=0, lt=1, description="augmentation: largest change of the grey value (0 to 1)")
    flip: float = Field(
        0.0, ge=0, le=1, description="augmentation: share of images mirrored left to right; not with labels of a side"
    )
    precision: Literal["fp32", "bf16"] = Field("fp32", description="bf16: autocast, for a GPU that has it")
    compile: bool = Field(False, description="torch.compile the student; pays for large ones on a GPU")
    processes: int = Field(1, ge=1, description="processes, one per GPU, that train one student together")
    nodes: int = Field(1, ge=1, description="machines that the processes are spread over; several need Slurm's srun")
    workers: int = Field(0, ge=0, description="threads that read batches ahead; they change no result")
    checkpoint_minutes: float = Field(
        10.0, ge=0, description="time between two checkpoints, from which a job that was stopped goes on"
    )
    tensorboard: bool = Field(False, description="also write the history as TensorBoard events, beside the log")

    @model_validator(mode="after")
    def _batches_divide(self) -> "Training":
        if self.batch_size % self.processes:
            raise ValueError(f"batch_size {self.batch_size} is no multiple of processes {self.processes}")
        if self.processes % self.nodes:
            raise ValueError(f"processes {self.processes} is no multiple of nodes {self.nodes}")
        return self


# What each loss reads of the teacher; the function of the same name is in mmpkd/students/losses.py.
LOSSES = {
    "label": "",
    "logit": "logits",
    "soft_label": "logits",
    "embedding_cosine": "embedding",
    "embedding_mse": "embedding",
    "embedding_smooth_l1": "embedding",
    "relational_distance": "embedding",
    "relational_angle": "embedding",
}


class Arm(Section):
    """How a student is taught. All arms of a seed share initialisation, data order, augmentation and budget.

    An arm with a `course` does not have the same budget. Its gains are still paired by seed and image, but they mix
    what the arm is taught with how long it is trained; with `batch_size` or augmentation its batches differ too.

    `teacher: constant` gives every image the same answer, the mean of each label. It knows nothing of any image: what
    an arm gains over it comes from what a teacher says of the image, and not from soft targets as such. It has the
    form of label smoothing, towards the label's base rate in place of one half.
    """

    title: str | None = Field(None, description="what figures and report call it; null: its name")
    teacher: Literal["none", "privileged", "shuffled", "image", "constant"] = Field(
        "none",
        description="shuffled: the teacher's rows permuted among the patients; image: a student of another arm; "
        "constant: the mean of each label for every image",
    )
    variant: str | None = Field(None, description="privileged, shuffled: one of domains.*.variants; null: its teacher")
    image_teacher: str | None = Field(
        None, description="image: the arm whose student of the next seed teaches; null: design.reference"
    )
    domains: list[str] | None = Field(None, description="domains that have this arm; null: all")
    course: dict[str, Any] = Field(
        {}, description="keys of training in which this arm differs; it then has another budget than the other arms"
    )
    losses: dict[Literal[tuple(LOSSES)], NonNegativeFloat] = Field(  # type: ignore[valid-type]  # of the registry
        {"label": 1.0}, description=f"weight of each loss: {', '.join(LOSSES)}"
    )
    temperature: float = Field(1.0, gt=0, description="softens the teacher's logits in logit and soft_label")
    smoothing: float = Field(0.0, ge=0, lt=1, description="label smoothing of the label loss")
    ramp: float = Field(0.0, ge=0, le=1, description="share of the steps in which the teacher's weights rise from 0")
    projector: Literal["linear", "orthogonal"] = Field(
        "linear", description="map from the student's embedding to the teacher's in embedding_*"
    )

    @property
    def privileged(self) -> bool:
        """Whether a teacher that reads privileged data teaches, for the right patients or for others."""
        return self.teacher in ("privileged", "shuffled")

    @property
    def permuted(self) -> bool:
        """Whether the teacher's rows are permuted among the patients."""
        return self.teacher == "shuffled"

    @property
    def weights(self) -> dict[str, float]:
        """The losses that count."""
        return {name: weight for name, weight in self.losses.items() if weight > 0}

    def reads(self, part: str) -> bool:
        """Whether a loss reads `part` of the teacher: logits or embedding."""
        return any(LOSSES[name] == part for name in self.weights)

    @property
    def projects(self) -> bool:
        """Whether a loss compares the student's embedding, projected, with the teacher's."""
        return any(name.startswith("embedding_") for name in self.weights)

    @model_validator(mode="after")
    def _losses_go_with_a_teacher(self) -> "Arm":
        distils = self.reads("logits") or self.reads("embedding")
        if distils != (self.teacher != "none"):
            raise ValueError("an arm with a teacher needs a loss that reads it, such as logit, and vice versa")
        if self.teacher == "constant" and self.reads("embedding"):
            names = ", ".join(name for name in self.weights if LOSSES[name] == "embedding")
            raise ValueError(f"losses: the constant teacher has logits alone, leave out {names}")
        if not self.weights:
            raise ValueError("losses: at least one weight must be above 0")
        if self.variant is not None and not self.privileged:
            raise ValueError(f"variant names a privileged teacher, and teacher is {self.teacher}")
        return self


class Roles(Section):
    """Which arms tables, figures, claims and report compare."""

    primary: str | None = Field(
        "mmpkd", description="the arm whose gain is the question; null: none, in a study of the reference alone"
    )
    reference: str = Field("baseline", description="the arm that gains are against")
    shuffled: str | None = Field(
        "shuffled", description="the control, an arm with teacher: shuffled; null: none, and no gain is credited"
    )
