"""Maps that owe nothing to training: what any attention map has to beat, and their scores."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from skimage.filters import sobel

from mmpkd.cohorts.tables import CohortTables
from mmpkd.evaluation.localization import Part, in_parts, score_maps, score_parts, tuned_in_parts, tuned_threshold
from mmpkd.evaluation.metrics import UNDEFINED_IF_CONSTANT
from mmpkd.evaluation.regions import ANY, Regions, Rois
from mmpkd.evaluation.scores import (
    AREA,
    Attention,
    Scoring,
    concatenate,
    localization_rows,
    patient_of_image,
    region_rows,
    trust_rows,
    tuned_thresholds,
)
from mmpkd.imaging.store import ImageStore


@dataclass(frozen=True)
class ControlCohort:
    """What the controls are scored on.

    Attributes:
        tables: of the cohort.
        rois: of the cohort.
        store: of the cohort; its images are read where a map is made of them.
        home: the training cohort of its domain, on whose validation images a threshold is tuned; None: there is none.
    """

    tables: CohortTables
    rois: Rois
    store: ImageStore
    home: str | None = None

    def regions(self, split: str) -> Regions:
        """The unions of ROI of the images of a split."""
        images = self.tables.images
        return Regions.unite(*self.rois, images.loc[images["split"] == split, "image_id"])


def uniform_map(size: int) -> np.ndarray:
    """A constant map, size x size, of mass one."""
    return np.full((size, size), 1 / size**2, dtype=np.float32)


def centre_map(size: int, sigma: float) -> np.ndarray:
    """A Gaussian around the middle of the image, size x size, of mass one; `sigma` in image sides.

    Args:
        size: pixels per side.
        sigma: standard deviation, as a share of the side.

    Raises:
        ValueError: sigma is not positive.
    """
    if not sigma > 0:
        raise ValueError(f"sigma must be positive, got {sigma}")
    distance = (np.arange(size) + 0.5) / size - 0.5
    profile = np.exp(-0.5 * (distance / sigma) ** 2)
    centred = np.outer(profile, profile)
    return (centred / centred.sum()).astype(np.float32)


def edge_maps(images: np.ndarray) -> np.ndarray:
    """The length of the Sobel gradient of uint8 images, N x S x S float32: how much the grey value changes there."""
    grey = images.astype(np.float32) / 255
    return np.stack([sobel(image) for image in grey]) if len(grey) else grey


def control_scores(
    attention: Mapping[str, Mapping[int, Mapping[str, Attention]]],
    cohorts: Mapping[str, ControlCohort],
    scoring: Scoring,
    centre_sigma: float,
    validation: Mapping[str, Mapping[int, Mapping[str, Attention]]] | None = None,
) -> pd.DataFrame:
    """The long table of the controls: domain `control`, localisation alone.

    Args:
        attention: arm (`untrained`, `pretrained`) -> seed -> cohort -> arrays, as for `student_scores`.
        cohorts: what is scored, by name.
        scoring: as for `student_scores`.
        centre_sigma: standard deviation of the centre map in image sides.
        validation: arm -> seed -> training cohort -> arrays of its validation images.

    Returns:
        Rows of arms `uniform`, `centre` and `edges` (seed 0, method `none`, every test image with an ROI) and of
        `attention`'s. Those of `uniform` hold the metric `roi_area` too.
    """
    parts = [part for name in cohorts for part in _rows_without_a_model(name, cohorts, scoring, centre_sigma)]
    for arm, by_seed in attention.items():
        for seed, by_cohort in by_seed.items():
            tuned = {
                home: tuned_thresholds(arrays, cohorts[home].rois, scoring.methods)
                for home, arrays in (validation or {}).get(arm, {}).get(seed, {}).items()
            }
            for name, arrays in by_cohort.items():
                names, cohort = {"domain": "control", "arm": arm, "seed": seed, "cohort": name}, cohorts[name]
                thresholds = tuned.get(cohort.home or "", {})
                parts.append(localization_rows(arrays, cohort.rois, cohort.tables, scoring, thresholds, names))
                parts += trust_rows(arrays, scoring.methods, cohort.tables, names)
    return concatenate(parts)


def _rows_without_a_model(
    name: str, cohorts: Mapping[str, ControlCohort], scoring: Scoring, centre_sigma: float
) -> Iterator[pd.DataFrame]:
    """The rows of the uniform map, the centre map and the edge maps in a cohort."""
    cohort = cohorts[name]
    regions = cohort.regions("test")
    every = np.zeros(len(regions.masks), dtype=int)

    def rows(arm: str, values: Mapping[str, np.ndarray]) -> pd.DataFrame:
        names = {"domain": "control", "arm": arm, "seed": 0, "cohort": name}
        return region_rows(regions, values, "none", patient_of_image(cohort.tables.images), names)

    size = regions.masks.shape[-1]
    values = score_maps(uniform_map(size)[None], regions.masks, every, **scoring.at(None))
    # a constant map lacks the scores of a threshold or a contrast: no rows of nothing
    values = {metric: value for metric, value in values.items() if metric not in UNDEFINED_IF_CONSTANT}
    yield rows("uniform", {**values, AREA: regions.areas})

    centre, at_centre, at_edges = centre_map(size, centre_sigma)[None], None, None
    if scoring.tunes and cohort.home is not None:
        tuning, store = cohorts[cohort.home].regions("validate").of(ANY), cohorts[cohort.home].store
        if len(tuning.masks):
            at_centre = tuned_threshold(centre, tuning.masks, np.zeros(len(tuning.masks), dtype=int))
            at_edges = tuned_in_parts(_edges(store, tuning), tuning.masks)
    yield rows("centre", score_maps(centre, regions.masks, every, **scoring.at(at_centre)))
    yield rows("edges", score_parts(_edges(cohort.store, regions), regions.masks, **scoring.at(at_edges)))


def _edges(store: ImageStore, regions: Regions) -> Iterator[Part]:
    """The edge maps of the images that the regions are in: read and made a part at a time, each once."""
    images, image_of_region = np.unique(regions.image_ids.astype(str), return_inverse=True)
    positions = store.positions(images)
    return in_parts(
        lambda part: edge_maps(store.pixels(positions[part])), len(images), image_of_region, regions.masks.shape[-1]
    )
