"""From DICOM to the image store."""

from typing import Literal

from pydantic import Field, field_validator

from mmpkd.config.base import Section


class Imaging(Section):
    """How an image becomes a square of uint8 grey values."""

    size: int = Field(224, ge=16, description="pixels per side of the stored square")
    window: Literal["dicom", "minmax", "percentile", "mimic_jpg"] = Field(
        "percentile",
        description="grey values: the file's VOI, the full range, the 0.5th to 99.5th percentile, or as MIMIC-CXR-JPG",
    )
    view: int | str = Field(
        0, description="window dicom: which of a file's VOI LUTs and windows, by number or by explanation (NORMAL, ...)"
    )
    keep_aspect: bool = Field(True, description="pad to a square (true) or stretch to it (false)")

    @field_validator("view")
    @classmethod
    def _not_negative(cls, view: int | str) -> int | str:
        if isinstance(view, int) and view < 0:
            raise ValueError("views are counted from 0")
        return view


class Breast(Section):
    """What is done to a mammogram beside windowing and resizing; all of it is off unless asked for."""

    crop: bool = Field(False, description="cut to the breast")
    margin: float = Field(0.02, ge=0, le=0.5, description="crop: rim around the breast, in longer sides of the image")
    chest_wall: Literal["as_is", "left", "right"] = Field(
        "as_is", description="mirror images so that the chest wall is on this side"
    )
    remove_labels: bool = Field(False, description="show black what is not breast: view markers, text, film edges")

    @property
    def active(self) -> bool:
        """Whether anything is asked for."""
        return self.crop or self.remove_labels or self.chest_wall != "as_is"
