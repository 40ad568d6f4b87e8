"""The long table: one value a row, from which every table and figure is made.

Columns: domain, arm, seed, cohort, patient_id, image_id, label, method, metric, value. Localisation rows: label `any`
(the union of an image's ROI) and one for each label with an ROI (the union of that label's ROI). Classification rows:
method `none`, metric `logit` and `target`, for each label that student and cohort share, where the target is known.
The uniform control carries, as metric `roi_area`, the share of the store's square that each of these ROI covers.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from mmpkd.cohorts.tables import CohortTables
from mmpkd.config.evaluation import METRICS
from mmpkd.evaluation.controls import centre_map, uniform_map
from mmpkd.evaluation.localization import score_grids, score_maps
from mmpkd.evaluation.metrics import TOLERANCE, UNDEFINED_IF_CONSTANT

log = logging.getLogger("mmpkd.scores")
COLUMNS = ["domain", "arm", "seed", "cohort", "patient_id", "image_id", "label", "method", "metric", "value"]
ANY = "any"
AREA = "roi_area"
ARTEFACTS = "artefact_rate"  # share of an image's patches whose token is an outlier, see mmpkd/attention/artefacts.py
Attention = Mapping[str, np.ndarray]  # content of attention/<...>/<cohort>.npz
Rois = tuple[pd.DataFrame, np.ndarray]  # roi_id, image_id, label, ... and M x S x S masks, row by row


@dataclass(frozen=True)
class Regions:
    """Union masks of a cohort: `any` and one a label, for each image that has an ROI."""

    image_ids: np.ndarray  # R
    labels: np.ndarray  # R
    masks: np.ndarray  # R x S x S bool

    @classmethod
    def unite(cls, rois: pd.DataFrame, masks: np.ndarray, image_ids: Sequence[str]) -> "Regions":
        """Unites the ROI of the given images.

        Raises:
            ValueError: `rois` and `masks` differ in length.
        """
        if len(rois) != len(masks):
            raise ValueError(f"{len(rois)} rows in rois.parquet but {len(masks)} masks in rois.npy; preprocess again")
        chosen = np.flatnonzero(rois["image_id"].isin(image_ids).to_numpy())
        named = rois[["image_id", "label"]].iloc[chosen]
        keys = pd.concat([named.assign(label=ANY), named])
        group = keys.groupby(["image_id", "label"], sort=False).ngroup()
        unique = keys.drop_duplicates()
        united = np.zeros((len(unique), *masks.shape[1:]), dtype=bool)
        for row, target in zip(np.concatenate([chosen, chosen]), group, strict=True):
            united[target] |= masks[row] != 0
        return cls(unique["image_id"].to_numpy(dtype=object), unique["label"].to_numpy(dtype=object), united)

    @property
    def areas(self) -> np.ndarray:
        """R: share of the square's pixels that each union covers."""
        return self.masks.mean(axis=(1, 2))


def student_scores(
    domain: str,
    arm: str,
    seed: int,
    attention: Mapping[str, Attention],
    rois: Mapping[str, Rois],
    cohorts: Mapping[str, CohortTables],
    methods: Sequence[str],
    metrics: Sequence[str] = METRICS,
    tolerance: float = TOLERANCE,
) -> pd.DataFrame:
    """The long table of one student.

    Args:
        domain, arm, seed: whose.
        attention: for each cohort image_id (N), logits (N x L), labels (L) and each method's maps (N x g x g).
        rois: for each cohort the ROI of its store.
        cohorts: the four tables of each cohort.
        methods: attention methods to score.
        metrics: localisation scores.
        tolerance: of the pointing game with tolerance, in longer image sides.

    Raises:
        KeyError: an array of a method is missing, or an image is not in the cohort's tables.
    """
    parts, scoring = [], {"metrics": metrics, "tolerance": tolerance}
    for cohort, arrays in attention.items():
        names = {"domain": domain, "arm": arm, "seed": seed, "cohort": cohort}
        parts.append(_localization(arrays, rois[cohort], cohorts[cohort], methods, scoring, names))
        parts.append(_classification(arrays, cohorts[cohort], names))
        parts.append(_artefacts(arrays, cohorts[cohort], names))
    return concatenate(parts)


def control_scores(
    attention: Mapping[str, Mapping[int, Mapping[str, Attention]]],
    rois: Mapping[str, Rois],
    cohorts: Mapping[str, CohortTables],
    methods: Sequence[str],
    centre_sigma: float,
    metrics: Sequence[str] = METRICS,
    tolerance: float = TOLERANCE,
) -> pd.DataFrame:
    """The long table of the controls: domain `control`, localisation alone.

    Args:
        attention: arm (`untrained`, `pretrained`) -> seed -> cohort -> arrays, as for `student_scores`.
        rois, cohorts, methods, metrics, tolerance: as for `student_scores`.
        centre_sigma: standard deviation of the centre map in image sides.

    Returns:
        Rows of arms `uniform` and `centre` (seed 0, method `none`, every test image with an ROI) and of `attention`'s.
        Those of `uniform` hold the metric `roi_area` too.
    """
    parts, scoring = [], {"metrics": metrics, "tolerance": tolerance}
    for cohort, (table, masks) in rois.items():
        images = cohorts[cohort].images
        regions = Regions.unite(table, masks, images.loc[images["split"] == "test", "image_id"])
        size = masks.shape[-1]
        for arm, control in (("uniform", uniform_map(size)), ("centre", centre_map(size, centre_sigma))):
            names = {"domain": "control", "arm": arm, "seed": 0, "cohort": cohort}
            every = np.zeros(len(regions.masks), dtype=int)
            values = score_maps(control[None], regions.masks, every, **scoring)
            if arm == "uniform":  # a constant map lacks the scores of a threshold or a contrast: no rows of nothing
                values = {metric: value for metric, value in values.items() if metric not in UNDEFINED_IF_CONSTANT}
                values[AREA] = regions.areas
            parts.append(_rows(regions, values, "none", _patient_of(images), names))
    for arm, by_seed in attention.items():
        for seed, by_cohort in by_seed.items():
            for cohort, arrays in by_cohort.items():
                names = {"domain": "control", "arm": arm, "seed": seed, "cohort": cohort}
                parts.append(_localization(arrays, rois[cohort], cohorts[cohort], methods, scoring, names))
                parts.append(_artefacts(arrays, cohorts[cohort], names))
    return concatenate(parts)


def concatenate(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Long tables one below the other, their categories united (pandas alone would turn them into strings)."""
    parts = [part for part in parts if len(part)] or list(parts)[:1]
    if not parts:
        return _typed(pd.DataFrame(columns=COLUMNS))
    columns = {}
    for name in COLUMNS:
        pieces = [part[name] for part in parts]
        if name in ("seed", "value"):
            columns[name] = np.concatenate([piece.to_numpy() for piece in pieces])
        else:
            columns[name] = union_categoricals([piece.astype("category") for piece in pieces])
    return _typed(pd.DataFrame(columns))


def _localization(
    arrays: Attention, rois: Rois, tables: CohortTables, methods: Sequence[str], scoring: Mapping[str, Any], names
) -> pd.DataFrame:
    regions = Regions.unite(*rois, arrays["image_id"])
    row_of = pd.Index(arrays["image_id"]).get_indexer(regions.image_ids)
    scored, map_of_mask = np.unique(row_of, return_inverse=True)  # only the maps of images with an ROI are upsampled
    parts = []
    for method in methods:
        values = score_grids(arrays[method][scored], regions.masks, map_of_mask, **scoring)
        parts.append(_rows(regions, values, method, _patient_of(tables.images), names))
    rows = concatenate(parts)
    if rows["value"].isna().any():
        log.warning("%d of %d localisation scores are undefined", int(rows["value"].isna().sum()), len(rows))
    return rows


def _rows(regions: Regions, values: dict[str, np.ndarray], method: str, patient_of: pd.Series, names) -> pd.DataFrame:
    count = len(regions.image_ids)
    table = pd.DataFrame(
        {
            "image_id": np.tile(regions.image_ids, len(values)),
            "label": np.tile(regions.labels, len(values)),
            "metric": np.repeat(list(values), count),
            "value": np.concatenate(list(values.values())),
        }
    )
    return _typed(table.assign(method=method, patient_id=_patients(table["image_id"], patient_of, names), **names))


def _classification(arrays: Attention, tables: CohortTables, names) -> pd.DataFrame:
    shared = [label for label in arrays["labels"].tolist() if label in tables.label_names]
    targets = tables.labels.set_index("image_id")[shared].reindex(arrays["image_id"])
    logits = pd.DataFrame(arrays["logits"], index=arrays["image_id"], columns=arrays["labels"].tolist())[shared]
    wide = {"logit": logits.where(targets.notna().to_numpy()), "target": targets}
    long = [
        table.rename_axis("image_id").reset_index().melt("image_id", var_name="label").dropna().assign(metric=metric)
        for metric, table in wide.items()
    ]
    rows = pd.concat(long, ignore_index=True)
    patients = _patients(rows["image_id"], _patient_of(tables.images), names)
    return _typed(rows.assign(method="none", patient_id=patients, **names))


def _artefacts(arrays: Attention, tables: CohortTables, names) -> pd.DataFrame:
    rows = pd.DataFrame({"image_id": arrays["image_id"], "value": arrays["artefact_rate"]})
    patients = _patients(rows["image_id"], _patient_of(tables.images), names)
    return _typed(rows.assign(label=ANY, method="none", metric=ARTEFACTS, patient_id=patients, **names))


def _patient_of(images: pd.DataFrame) -> pd.Series:
    return images.set_index("image_id")["patient_id"]


def _patients(image_ids: pd.Series, patient_of: pd.Series, names) -> np.ndarray:
    patients = patient_of.reindex(image_ids)
    if patients.isna().any():
        missing = patients.index[patients.isna()].nunique()
        raise KeyError(f"{missing} scored images are not in the tables of cohort {names['cohort']}; rerun attention")
    return patients.to_numpy()


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    kinds = {name: "category" for name in COLUMNS if name not in ("seed", "value")}
    return table[COLUMNS].astype({"seed": "int32", "value": "float32", **kinds})
