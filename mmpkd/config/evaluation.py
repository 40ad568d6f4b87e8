"""Attention export, scores, statistics and claims."""

from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator

from mmpkd.config.base import Section
from mmpkd.design import Score

RECEIVED = "received"  # no method of a study, but exported with them: what each patch receives from all patches
METHODS = ("last_layer", "last_layer_max", "value_norm", "rollout", "gradient_rollout", "grad_cam")
# The last: one head of the last block, from 0. What each is: attention_maps in mmpkd/attention/maps.py.
Method = Annotated[str, Field(pattern=rf"^({'|'.join(METHODS)}|last_layer_head\d{{1,2}})$")]
Metric = Literal[
    "pixel_auroc",
    "average_precision",
    "pointing_game",
    "mass_in_roi",
    "iou_equal_area",
    "pointing_game_tolerant",
    "hit_rate",
    "mass_gain",
    "dice_equal_area",
    "iou_otsu",
    "dice_otsu",
    "iou_tuned",
    "dice_tuned",
    "contrast_to_noise",
    "relevance_mass_accuracy",
    "relevance_rank_accuracy",
]
METRICS: tuple[Metric, ...] = get_args(Metric)
TUNED = ("iou_tuned", "dice_tuned")  # at a threshold that is tuned on the validation images of the training cohort
CellName = Annotated[str, Field(pattern=r"^\w+@\w+$")]  # see mmpkd.design


class Probe(Section):
    """A linear probe: what the frozen features of a student know of the labels of another domain."""

    images: int = Field(2000, ge=10, description="training images of the other domain that it is fitted on, at most")
    penalty: float = Field(0.01, gt=0, description="inverse L2 strength C of the logistic regression")


class Evaluation(Section):
    """What is scored, and how intervals are made."""

    methods: list[Method] = Field(
        ["rollout", "last_layer"],
        min_length=1,
        description=f"attention maps, the first leads: {', '.join(METHODS)}, last_layer_head<k>",
    )
    metric: Metric = Field("pixel_auroc", description="the primary localisation score")
    metrics: list[Metric] = Field(
        [
            "pixel_auroc",
            "average_precision",
            "pointing_game",
            "mass_in_roi",
            "iou_equal_area",
            "pointing_game_tolerant",
            "mass_gain",
            "iou_otsu",
            "iou_tuned",
            "contrast_to_noise",
        ],
        description="localisation scores that are computed and tabled; the primary one always is",
    )
    pointing_tolerance: float = Field(
        0.03, ge=0, lt=0.5, description="pointing game with tolerance: margin around the ROI in longer image sides"
    )
    resamples: int = Field(2000, ge=100, description="bootstrap resamples of an interval")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="level of every interval")
    centre_sigma: float = Field(0.25, gt=0, description="centre control: standard deviation in image sides")
    seed: int = Field(0, ge=0, lt=2**32, description="seed of the resampling, and of the images of the probe")
    probe: Probe | None = Field(Probe(), description="linear probe on the other domains' labels; null: none")

    @field_validator("methods")
    @classmethod
    def _each_once(cls, methods: list[Method]) -> list[Method]:
        if len(set(methods)) != len(methods):
            raise ValueError("must be different")
        return methods

    @property
    def scored(self) -> tuple[Metric, ...]:
        """The scores that are computed: `metrics` and the primary one, each once, in their usual order."""
        return tuple(name for name in METRICS if name == self.metric or name in self.metrics)

    def score(self, method: str | None = None) -> Score:
        """The primary metric of a method's maps, by default of the first method."""
        return Score(self.metric, method or self.methods[0])

    @property
    def tunes(self) -> bool:
        """Whether a score needs maps of validation images."""
        return any(name in TUNED for name in self.scored)


class Claim(Section):
    """A named contrast: the mean gain over cells, or the difference of two such means."""

    title: str = Field(description="the sentence that is tested")
    arm: str | None = Field(None, description="the arm that should gain; null: design.primary")
    reference: str | None = Field(
        None, description="the arm that it is compared with, image by image and seed by seed; null: design.reference"
    )
    cells: list[CellName] = Field(
        min_length=1, description="training domain @ evaluation cohort; averaged with equal weight"
    )
    minus: list[CellName] = Field([], description="cells whose mean gain is subtracted")
    expect: Literal["gain", "no_gain"] = Field("gain", description="no_gain: supported if the gain stays below margin")
    margin: float = Field(0.02, ge=0, description="no_gain: smallest gain that would matter")
    known: Literal["gain", "no_gain"] | None = Field(
        None, description="phantoms only: the answer that was planted; null: none is known"
    )
    metric: Metric | None = Field(None, description="score that is tested; null: evaluation.metric")
    method: Method | None = Field(None, description="attention map that is scored; null: evaluation.methods' first")
