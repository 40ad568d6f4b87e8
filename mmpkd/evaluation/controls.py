"""Maps that owe nothing to training: what any attention map has to beat, and their scores."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from mmpkd.cohorts.tables import CohortTables
from mmpkd.evaluation.localization import score_maps, tuned_threshold
from mmpkd.evaluation.metrics import UNDEFINED_IF_CONSTANT
from mmpkd.evaluation.regions import ANY, Regions, Rois
from mmpkd.evaluation.scores import (
    AREA,
    Attention,
    Scoring,
    artefact_rows,
    concatenate,
    localization_rows,
    patient_of_image,
    region_rows,
    tuned_thresholds,
)


def uniform_map(size: int) -> np.ndarray:
    """A constant map, size x size, of mass one."""
    return np.full((size, size), 1 / size**2, dtype=np.float32)


def centre_map(size: int, sigma: float) -> np.ndarray:
    """A Gaussian around the middle of the image, size x size, of mass one; `sigma` in image sides.

    Raises:
        ValueError: sigma is not positive.
    """
    if not sigma > 0:
        raise ValueError(f"sigma must be positive, got {sigma}")
    distance = (np.arange(size) + 0.5) / size - 0.5
    profile = np.exp(-0.5 * (distance / sigma) ** 2)
    centred = np.outer(profile, profile)
    return (centred / centred.sum()).astype(np.float32)


def control_scores(
    attention: Mapping[str, Mapping[int, Mapping[str, Attention]]],
    rois: Mapping[str, Rois],
    cohorts: Mapping[str, CohortTables],
    scoring: Scoring,
    centre_sigma: float,
    homes: Mapping[str, str] | None = None,
    validation: Mapping[str, Mapping[int, Mapping[str, Attention]]] | None = None,
) -> pd.DataFrame:
    """The long table of the controls: domain `control`, localisation alone.

    Args:
        attention: arm (`untrained`, `pretrained`) -> seed -> cohort -> arrays, as for `student_scores`.
        rois, cohorts, scoring: as for `student_scores`.
        centre_sigma: standard deviation of the centre map in image sides.
        homes: for each cohort the training cohort of its domain, on whose validation images a threshold is tuned.
        validation: arm -> seed -> training cohort -> arrays of its validation images.

    Returns:
        Rows of arms `uniform` and `centre` (seed 0, method `none`, every test image with an ROI) and of `attention`'s.
        Those of `uniform` hold the metric `roi_area` too.
    """
    homes, validation = homes or {}, validation or {}
    parts = [
        part for cohort in rois for part in _fixed_maps(cohort, homes.get(cohort), rois, cohorts, centre_sigma, scoring)
    ]
    for arm, by_seed in attention.items():
        for seed, by_cohort in by_seed.items():
            tuned = {
                home: tuned_thresholds(arrays, rois[home], scoring.methods)
                for home, arrays in validation.get(arm, {}).get(seed, {}).items()
            }
            for cohort, arrays in by_cohort.items():
                names = {"domain": "control", "arm": arm, "seed": seed, "cohort": cohort}
                thresholds = tuned.get(homes.get(cohort), {})
                parts.append(localization_rows(arrays, rois[cohort], cohorts[cohort], scoring, thresholds, names))
                parts.append(artefact_rows(arrays, cohorts[cohort], names))
    return concatenate(parts)


def _fixed_maps(
    cohort: str,
    home: str | None,
    rois: Mapping[str, Rois],
    cohorts: Mapping[str, CohortTables],
    centre_sigma: float,
    scoring: Scoring,
) -> Iterator[pd.DataFrame]:
    """The rows of the uniform and the centre map in a cohort."""
    images, regions = cohorts[cohort].images, _regions_of(cohort, "test", rois, cohorts)
    size, every = regions.masks.shape[-1], np.zeros(len(regions.masks), dtype=int)
    names = {"domain": "control", "seed": 0, "cohort": cohort}
    values = score_maps(uniform_map(size)[None], regions.masks, every, **scoring.at(None))
    # a constant map lacks the scores of a threshold or a contrast: no rows of nothing
    values = {metric: value for metric, value in values.items() if metric not in UNDEFINED_IF_CONSTANT}
    yield region_rows(
        regions, {**values, AREA: regions.areas}, "none", patient_of_image(images), {**names, "arm": "uniform"}
    )
    centre, threshold = centre_map(size, centre_sigma)[None], None
    if scoring.tunes and home is not None:
        tuning = _regions_of(home, "validate", rois, cohorts).of(ANY)
        if len(tuning.masks):
            threshold = tuned_threshold(centre, tuning.masks, np.zeros(len(tuning.masks), dtype=int))
    values = score_maps(centre, regions.masks, every, **scoring.at(threshold))
    yield region_rows(regions, values, "none", patient_of_image(images), {**names, "arm": "centre"})


def _regions_of(cohort: str, split: str, rois: Mapping[str, Rois], cohorts: Mapping[str, CohortTables]) -> Regions:
    images = cohorts[cohort].images
    return Regions.unite(*rois[cohort], images.loc[images["split"] == split, "image_id"])
