"""The student of a study as the run will build it, on torch's `meta` device: real names and shapes, no memory."""

from mmpkd.check.facts import StudentFacts
from mmpkd.config.students import Student, Training

BYTES = 4  # of a float32
STATES = 4  # weights, gradients, and the two moments of AdamW


def describe_student(config: Student, training: Training, size: int, labels: int) -> StudentFacts:
    """What the study will train.

    Args:
        config: the student.
        training: its batch size and processes tell how much memory a step takes.
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


def on_meta(config: Student, size: int, labels: int):
    """The student without memory for its weights.

    Raises:
        ValueError: timm does not know it, or it is not suitable; the message names the key.
    """
    import torch

    from mmpkd.students.vit import Student as StudentModel

    with torch.device("meta"):
        return StudentModel(config, size, [f"label{number}" for number in range(labels)])


def _activation_bytes(student, size: int) -> int:
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
