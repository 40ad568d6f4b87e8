"""timm, imported the one way that works beside every build of torch: `from mmpkd.students.vision import timm`."""

from mmpkd.torchvision_schema import mend

mend()

import timm  # noqa: E402
from timm.layers import Attention  # noqa: E402
from timm.models.vision_transformer import Block, VisionTransformer  # noqa: E402

__all__ = ["Attention", "Block", "VisionTransformer", "timm"]
