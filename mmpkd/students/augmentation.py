"""Augmentation on the tensor: what is drawn for each image, and how it is applied on the device."""

from dataclasses import dataclass

import torch

from mmpkd.config.students import Training


@dataclass
class Draws:
    """What happens to each of N images.

    Attributes:
        offsets: 2 x N int64, rows and columns by which an image is shifted.
        mirrored: N bool.
        contrast: N.
        brightness: N.
    """

    offsets: torch.Tensor
    mirrored: torch.Tensor
    contrast: torch.Tensor
    brightness: torch.Tensor

    @classmethod
    def of(cls, count: int, training: Training, generator: torch.Generator) -> "Draws":
        """Draws for `count` images; `generator` alone decides them.

        Args:
            count: images of the batch.
            training: how far images are shifted and changed.
            generator: draws the numbers.
        """
        offsets = torch.randint(-training.shift, training.shift + 1, (2, count), generator=generator)
        spread = torch.rand((2, count), generator=generator) * 2 - 1
        mirrored = torch.rand(count, generator=generator) < training.flip
        return cls(offsets, mirrored, 1 + training.contrast * spread[0], training.brightness * spread[1])

    def __getitem__(self, rows: slice) -> "Draws":
        return Draws(self.offsets[:, rows], self.mirrored[rows], self.contrast[rows], self.brightness[rows])

    def to(self, device: torch.device) -> "Draws":
        """The same draws on `device`."""
        return Draws(*(part.to(device, non_blocking=True) for part in vars(self).values()))


def augment(pixels: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Shifts by whole pixels (edges repeated), mirrors, and changes contrast about the mean, and brightness.

    Labels survive all of it; mirroring is refused by the configuration where a label names a side.

    Args:
        pixels: uint8, N x S x S.
        draws: of the same images, on the same device.

    Returns:
        N x 1 x S x S, 0 to 1.
    """
    count, size, _ = pixels.shape
    rows, columns = (torch.arange(size, device=pixels.device) + draws.offsets[:, :, None]).clamp_(0, size - 1)
    columns = torch.where(draws.mirrored[:, None], size - 1 - columns, columns)
    # whole rows first, then columns within each of them: a third of the time of both at once
    first = size * torch.arange(count, device=pixels.device)[:, None]
    moved = pixels.flatten(0, 1).index_select(0, (first + rows).flatten()).unflatten(0, (count, size)).float()
    moved = moved.gather(2, columns[:, None].expand(-1, size, -1))
    # contrast about the mean, brightness and the division by 255 in one pass over the pixels
    mean = moved.mean(dim=(1, 2), keepdim=True) / 255
    contrast, brightness = draws.contrast[:, None, None], draws.brightness[:, None, None]
    return torch.addcmul(mean * (1 - contrast) + brightness, moved, contrast / 255).clamp_(0, 1)[:, None]
