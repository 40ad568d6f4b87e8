"""A patch embedding that multiplies matrices: on a CPU faster than the convolution it stands for."""

import torch
from torch import nn


class PatchProjection(nn.Conv2d):
    """A convolution whose windows tile the image, as one linear map of each patch; same parameters, same result."""

    @classmethod
    def of(cls, convolution: nn.Conv2d) -> "PatchProjection":
        """The same map with the very parameters of `convolution`.

        Raises:
            ValueError: its windows do not tile the image.
        """
        tiles = convolution.stride == convolution.kernel_size and convolution.dilation == (1, 1)
        if not tiles or convolution.padding != (0, 0) or convolution.groups != 1:
            raise ValueError(f"{convolution}: its windows overlap, leave gaps or are padded, so they are no patches")
        bias, kernel = convolution.bias is not None, convolution.kernel_size
        same = cls(convolution.in_channels, convolution.out_channels, kernel, kernel, bias=bias, device="meta")
        same.weight, same.bias = convolution.weight, convolution.bias
        return same

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """N x C x H x W to N x D x H/p x W/p, for H and W that are multiples of the patch."""
        high, wide = self.kernel_size
        patches = images.unflatten(3, (-1, wide)).unflatten(2, (-1, high))  # N x C x rows x p x columns x p
        patches = patches.permute(0, 2, 4, 1, 3, 5).flatten(3)
        return nn.functional.linear(patches, self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)
