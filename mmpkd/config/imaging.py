"""From DICOM to the image store."""

from typing import Literal

from pydantic import Field

from mmpkd.config.base import Section


class Imaging(Section):
    """How an image becomes a square of uint8 grey values."""

    size: int = Field(64, ge=16, description="pixels a side of the stored square")
    window: Literal["dicom", "minmax", "percentile"] = Field(
        "percentile", description="grey values: the file's VOI, the full range, or the 0.5th to 99.5th percentile"
    )
    keep_aspect: bool = Field(True, description="pad to a square (true) or stretch to it (false)")
