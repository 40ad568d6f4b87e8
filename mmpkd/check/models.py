"""The models of a study as the run will build them, and the weights that they start from as the run will open them.

Students are built on torch's `meta` device: real names and shapes, no memory.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import constants, try_to_load_from_cache

from mmpkd.check.facts import State, StudentFacts, WeightFacts
from mmpkd.config.students import StudentConfig, Training
from mmpkd.config.teachers import Encoder
from mmpkd.students.weight_names import how_to_place
from mmpkd.teachers.packaged_encoder import WEIGHTS

if TYPE_CHECKING:
    from mmpkd.students.vit import Student  # which imports torch

# What timm looks for in a repository.
HUB_FILES = (WEIGHTS, "pytorch_model.bin", "open_clip_model.safetensors", "open_clip_pytorch_model.bin")
BYTES = 4  # of a float32
STATES = 4  # weights, gradients, and the two moments of AdamW


def describe_student(config: StudentConfig, training: Training, size: int, labels: int) -> StudentFacts:
    """What the study will train.

    Args:
        config: the student.
        training: its batch size and processes decide how much memory a step takes.
        size: pixels per side of the images.
        labels: number of logits.
    """
    try:
        student = on_meta(config, size, labels)
    except ValueError as error:
        return StudentFacts(config.model, error=str(error))
    vit = student.vit
    parameters = sum(parameter.numel() for parameter in student.parameters())
    copies = STATES + bool(training.ema)
    activations = _activation_bytes(student, size) * training.batch_size // training.processes
    return StudentFacts(
        model=config.model,
        parameters=parameters,
        patch=vit.patch_embed.patch_size[0],
        grid=vit.patch_embed.grid_size[0],
        heads=vit.blocks[0].attn.num_heads,
        file_bytes=sum(tensor.numel() * tensor.element_size() for tensor in vit.state_dict().values()),
        training_bytes=copies * parameters * BYTES + activations,
    )


def on_meta(config: StudentConfig, size: int, labels: int) -> "Student":
    """The student without memory for its weights.

    Args:
        config: of the student.
        size: of its images, in pixels per side.
        labels: number of its logits.

    Raises:
        ValueError: timm does not know it, or it is not suitable; the message names the key.
    """
    import torch

    from mmpkd.students.vit import Student

    with torch.device("meta"):
        return Student(config, size, [f"label{number}" for number in range(labels)])


def _activation_bytes(student: "Student", size: int) -> int:
    """What a step in float32 keeps of one image for the gradient, by torch's own account."""
    import torch

    own = {parameter.untyped_storage()._cdata for parameter in student.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()._cdata
        if storage not in own:  # views of weights are no further memory
            kept[storage] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        student.train()(torch.zeros(1, 1, size, size, device="meta"))
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def find_encoder(config: Encoder, purpose: str) -> WeightFacts:
    """The text encoder of a teacher: loaded as the teacher will load it, unless it is still to be fetched.

    Args:
        config: of the encoder.
        purpose: its key in the configuration.
    """
    from mmpkd.teachers.encoder_loading import EncoderError, NoEncoderError, load_encoder

    if config.source == "hub" and config.name and not _cached(config.name, (WEIGHTS,), config.revision):
        folder = f"models--{config.name.replace('/', '--')}"
        fix = (
            f"Without a network run `hf download {config.name}` elsewhere and copy {folder} to "
            f"{constants.HF_HUB_CACHE}, or set encoder.source to folder and encoder.name to its place"
        )
        return _not_cached(purpose, config.source, config.name, fix)
    try:
        encoder = load_encoder(config, local=True)
    except EncoderError as error:
        state: State = "missing" if isinstance(error, NoEncoderError) else "does not fit"
        return WeightFacts(purpose, config.source, state, str(error))
    parameters = sum(parameter.numel() for parameter in encoder.model.parameters())
    message = f"{config.name or 'MiniLM'}, {parameters / 1e6:.1f} million parameters, SHA-256 {encoder.sha256[:12]}..."
    return WeightFacts(purpose, config.source, "at hand", message)


def find_first_weights(config: StudentConfig, size: int) -> WeightFacts:
    """The students' first weights, fitted to the configured student as the rule `backbone` will do it.

    Args:
        config: of the student.
        size: of its images, in pixels per side.
    """
    purpose, backbone = "student.backbone", config.backbone
    if backbone.source == "shapes":
        message = f"pretrained here on {backbone.images:,} drawn shapes, {backbone.epochs} epochs"
        return WeightFacts(purpose, "shapes", "made here", message)
    if backbone.source == "none":
        return WeightFacts(purpose, "none", "made here", "random first weights")
    if backbone.source == "file":
        if backbone.path is not None and backbone.path.is_file():
            return _fitted(config, size, backbone.path)
        message = f"there is no file {backbone.path}; place the weights there"
        return WeightFacts(purpose, "file", "missing", message)
    return _timm(config, size, purpose)


def _fitted(config: StudentConfig, size: int, path: Path, place: str = "") -> WeightFacts:
    """A file of weights, read and fitted; `place`: what it is called."""
    from mmpkd.students.first_weights import fit_weights, from_file
    from mmpkd.students.vit import CheckpointError

    purpose, source = "student.backbone", config.backbone.source
    try:
        student = on_meta(config, size, 1)
    except ValueError:  # reported with the student itself
        return WeightFacts(purpose, source, "at hand", f"{path}; whether it fits is unknown")
    try:
        weights = from_file(path)
        on_paper = {name: tensor.to("meta") for name, tensor in weights.tensors.items()}
        changes = fit_weights(student, replace(weights, tensors=on_paper), config.backbone)
    except CheckpointError as error:
        return WeightFacts(purpose, source, "does not fit", str(error))
    return WeightFacts(purpose, source, "at hand", ", ".join([place or str(path), *changes]))


def _timm(config: StudentConfig, size: int, purpose: str) -> WeightFacts:
    """timm's published weights lie on the hub, below timm/ and the model's name with its tag."""
    prefix, _, name = config.model.rpartition(":")
    if misfit := _misfit_with_timm(config, size):
        return WeightFacts(purpose, "timm", "does not fit", misfit)
    if not prefix and "." not in config.model:
        message = f"name the weights in student.model, such as {name}.augreg_in21k_ft_in1k, to have them looked for"
        return WeightFacts(purpose, "timm", "needs network", message)
    repository = name if prefix else f"timm/{name}"
    cached = _cached(repository, HUB_FILES)
    if cached is None:
        return _not_cached(purpose, "timm", repository, how_to_place(repository))
    place = f"{repository} in {constants.HF_HUB_CACHE}"
    if prefix or cached.name != WEIGHTS:  # not in timm's own naming; timm converts it when it is loaded
        return WeightFacts(purpose, "timm", "at hand", place)
    return _fitted(config, size, cached, place)


def _misfit_with_timm(config: StudentConfig, size: int) -> str | None:
    """Why the tensors of timm's own model of that name, which are those it publishes, do not fit the student."""
    import torch

    from mmpkd.students.first_weights import FirstWeights, fit_weights
    from mmpkd.students.vision import timm
    from mmpkd.students.vit import CheckpointError

    if ":" in config.model:  # its architecture is described by a file on the hub
        return None
    try:
        student = on_meta(config, size, 1)
    except ValueError:
        return None
    with torch.device("meta"):
        model = timm.create_model(config.model)
    published = model.pretrained_cfg
    weights = FirstWeights(config.model, model.state_dict(), list(published["mean"]), list(published["std"]))
    try:
        fit_weights(student, weights, config.backbone)
    except CheckpointError as error:
        return str(error)
    return None


def _cached(name: str, files: tuple[str, ...], revision: str | None = None) -> Path | None:
    """The first of the files of a repository that is in the hub's cache."""
    found = (try_to_load_from_cache(name, file, revision=revision) for file in files)
    return next((Path(path) for path in found if isinstance(path, str)), None)


def _not_cached(purpose: str, source: str, name: str, fix: str) -> WeightFacts:
    offline = constants.HF_HUB_OFFLINE
    outlook = "HF_HUB_OFFLINE is set, so it cannot be fetched" if offline else "it will be fetched"
    message = f"{name} is not in {constants.HF_HUB_CACHE}: {outlook}. {fix}"
    return WeightFacts(purpose, source, "missing" if offline else "needs network", message)
