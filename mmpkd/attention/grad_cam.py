"""Grad-CAM of the package grad-cam: an explanation that is not attention, to compare the maps of the study with."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from mmpkd.attention.gradient import ScoreFunction
from mmpkd.students.vision import VisionTransformer


class Scored(nn.Module):
    """Images to one score each: what a library that knows nothing of class tokens explains."""

    def __init__(self, vit: VisionTransformer, score: ScoreFunction) -> None:
        super().__init__()
        self.vit, self.score = vit, score

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """N x C x S x S to N."""
        return self.score(self.vit.forward_features(images))


def grad_cam_row(vit: VisionTransformer, images: torch.Tensor, score: ScoreFunction) -> torch.Tensor:
    """Grad-CAM (Selvaraju et al., arXiv:1610.02391) of the package grad-cam, over the patches, N x g*g.

    At the input of the last block's attention (its first norm), where the package's guide puts it for a vision
    transformer: behind it the score reads the class token alone. Taken before the package enlarges and rescales it.

    Args:
        vit: the model, whose parameters stay as they are.
        images: N x C x S x S.
        score: what is explained, one number per image.

    Raises:
        ModuleNotFoundError: the package is not installed.
    """
    try:
        from pytorch_grad_cam import GradCAM
    except ModuleNotFoundError as error:
        if error.name != "pytorch_grad_cam":
            raise
        message = "evaluation.methods: grad_cam needs the package grad-cam: pip install 'mmpkd[grad-cam]'"
        raise ModuleNotFoundError(message) from error

    def on_grid(tokens: torch.Tensor) -> torch.Tensor:
        return tokens[:, vit.num_prefix_tokens :].unflatten(1, vit.patch_embed.grid_size).permute(0, 3, 1, 2)

    layer = vit.blocks[-1].norm1
    with torch.enable_grad(), frozen(vit):
        cam = GradCAM(Scored(vit, score).eval(), [layer], on_grid)
        cam.compute_input_gradient = True  # the parameters are frozen
        seen = cam.activations_and_grads
        try:
            targets = [lambda output: output] * len(images)
            cam(images, targets)
            (activations,), (gradients,) = seen.activations, seen.gradients
            raw = cam.get_cam_image(images, layer, targets, activations.numpy(), gradients.numpy())
        finally:
            seen.release()
    return torch.from_numpy(raw).to(images).clamp(min=0).flatten(1)


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """No parameter of `module` is given a gradient here; afterwards all is as it was."""
    states = [(parameter, parameter.requires_grad, parameter.grad) for parameter in module.parameters()]
    try:
        module.requires_grad_(False)
        yield
    finally:
        for parameter, requires_grad, grad in states:
            parameter.requires_grad_(requires_grad)
            parameter.grad = grad
