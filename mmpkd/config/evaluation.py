"""Attention export, scores, statistics and claims."""

from typing import Annotated, Literal

from pydantic import Field

from mmpkd.config.base import Section

Method = Literal["last_layer", "rollout"]
Metric = Literal["pixel_auroc", "average_precision", "pointing_game", "mass_in_roi", "iou_equal_area"]
Cell = Annotated[str, Field(pattern=r"^\w+@\w+$")]


class Evaluation(Section):
    """What is scored, and how intervals are made."""

    methods: list[Method] = Field(
        ["rollout", "last_layer"], min_length=1, description="attention maps; the first leads"
    )
    metric: Metric = Field("pixel_auroc", description="the primary localisation score")
    resamples: int = Field(2000, ge=100, description="bootstrap resamples of an interval")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="level of every interval")
    centre_sigma: float = Field(0.25, gt=0, description="centre control: standard deviation in image sides")
    seed: int = Field(0, ge=0, description="seed of the resampling")


class Claim(Section):
    """A named contrast: the mean gain over cells, or the difference of two such means."""

    title: str = Field(description="the sentence that is tested")
    arm: str = Field("mmpkd", description="the arm that should gain")
    reference: str = Field("baseline", description="the arm that it is compared with, image by image and seed by seed")
    cells: list[Cell] = Field(
        min_length=1, description="training domain @ evaluation cohort; averaged with equal weight"
    )
    minus: list[Cell] = Field([], description="cells whose mean gain is subtracted")
    expect: Literal["gain", "no_gain"] = Field("gain", description="no_gain: supported if the gain stays below margin")
    margin: float = Field(0.02, ge=0, description="no_gain: smallest gain that would matter")
