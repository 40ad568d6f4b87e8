"""Where the data are and how they are read."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mmpkd.config.base import Section
from mmpkd.config.folders import HomePath

Share = Annotated[float, Field(ge=0, le=1)]
MARKLESS = ("nih_chestxray14", "open_i", "own")  # adapters whose phantom has no marker
ERRORLESS = (*MARKLESS, "vindr_cxr", "vindr_mammo")  # and whose labels do not err with it
ENLARGEMENT = 14  # of a phantom's side, about 200 pixels, to that of a real image, 2,500 to 3,000


class Habit(Section):
    """An acquisition habit: a marker on some images, which has nothing to do with disease, and labels that err with it.

    As old diagnoses are carried along with the portable films of a ward, whatever the new film shows.
    """

    marked: Share = Field(0.0, description="share of all images that bear the marker, whatever they show (0: off)")
    errors: Share = Field(
        0.0, description="chance that an absent finding of a marked image that is learnt from is labelled present"
    )
    errors_follow: Literal["marker", "chance"] = Field(
        "marker", description="chance: as many errors, on images drawn at random"
    )
    mentioned: bool = Field(False, description="whether the report or the case description mentions the marker")


class Phantom(Section):
    """A fabricated tree in the layout of the adapter, for studies without data."""

    patients: int = Field(ge=4, description="patients to draw; each has one or more studies or views")
    seed: int = Field(ge=0, lt=2**32, description="seed of the tree; cohorts of one study need different seeds")
    label_noise: Share = Field(0.3, description="how readily a report misses or hedges a mild finding (0: never)")
    habit: Habit = Field(Habit(), description="a marker on some images, and labels that err with it")
    large: int = Field(0, ge=0, description="patients, the first ones, whose images have the dimensions of real ones")

    def enlargement(self, index: int) -> int:
        """How many times as many pixels per side the images of a patient have."""
        return ENLARGEMENT if index < self.large else 1


class Cohort(Section):
    """One data set. Exactly one of `root` and `phantom` is set."""

    adapter: str = Field(description="a module of mmpkd/cohorts/datasets")
    root: HomePath | None = Field(None, description="folder of the download")
    phantom: Phantom | None = Field(None, description="fabricate the tree instead of reading one")
    folders: dict[str, HomePath] = Field(
        {}, description="folders that are not below root, by the adapter's names for them"
    )
    options: dict[str, bool | int | float | str | list[str] | dict[str, str]] = Field(
        {}, description="choices of the adapter, see its module"
    )
    images: bool = Field(True, description="false: tables alone, no image is looked for")
    shards: int = Field(1, ge=1, description="jobs, and files of the image store, that the images are divided among")
    rejected_limit: Share = Field(
        0.5, description="largest share of faulty records (images, ROI, reports, cases; not: unwanted views)"
    )
    restricted: bool = Field(False, description="true: no picture of it is shown in the report")

    @model_validator(mode="after")
    def _one_source(self) -> "Cohort":
        if (self.root is None) == (self.phantom is None):
            raise ValueError("set exactly one of root (a folder) and phantom (fabricated data); null unsets a key")
        return self

    @model_validator(mode="after")
    def _phantom_has_the_habit(self) -> "Cohort":
        habit = self.phantom.habit if self.phantom else Habit()
        for key, without in {"marked": MARKLESS, "errors": ERRORLESS}.items():
            if getattr(habit, key) and self.adapter in without:
                raise ValueError(f"phantom.habit.{key}: must be 0, because the phantom of {self.adapter} has none")
        return self
