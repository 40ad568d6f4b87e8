"""timm, imported the one way that works beside every build of torch: `from mmpkd.students.vision import timm`.

The garbage collector rests meanwhile, and afterwards leaves alone what was imported: its passes over the modules of
timm and torchvision would take a third of the time in which a job starts and ends.
"""

import gc

from mmpkd.torchvision_schema import declare_operators

collecting = gc.isenabled()
gc.disable()
declare_operators()

import timm  # noqa: E402
from timm.layers import Attention  # noqa: E402
from timm.models.vision_transformer import Block, VisionTransformer  # noqa: E402

gc.freeze()
if collecting:
    gc.enable()

__all__ = ["Attention", "Block", "VisionTransformer", "timm"]
