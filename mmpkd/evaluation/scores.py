"""The long table: one value per row, from which every table and figure is made.

Columns: domain, arm, seed, cohort, patient_id, image_id, label, method, metric, value. Localisation rows: label `any`
(the union of an image's ROI) and one for each label with an ROI (the union of that label's ROI). Classification rows:
method `none`, metric `logit` and `target`, for each label that student and cohort share, where the target is known.
The uniform control carries, as metric `roi_area`, the share of the store's square that each of these ROI covers.
`mmpkd.evaluation.probe` adds rows of metric `probe_logit` and `probe_target`.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from mmpkd.cohorts.tables import CohortTables
from mmpkd.config.evaluation import METRICS, RECEIVED, TUNED
from mmpkd.design import Score, StudentKey
from mmpkd.evaluation.localization import score_grids, tuned_threshold, upsample
from mmpkd.evaluation.metrics import TOLERANCE
from mmpkd.evaluation.regions import ANY, Regions, Rois

log = logging.getLogger("mmpkd.scores")
COLUMNS = ["domain", "arm", "seed", "cohort", "patient_id", "image_id", "label", "method", "metric", "value"]
AREA = "roi_area"
ARTEFACTS = "artefact_rate"  # share of an image's patches whose token is an outlier, see mmpkd/attention/export.py
SINKS = "sink_mass"  # share of a map on patches that draw attention from everywhere, see `received_row`
SINK = 3.0  # times what a patch receives on average
PROBE = "probe_"  # before `logit` and `target`: said by a linear probe, see mmpkd/evaluation/probe.py
Attention = Mapping[str, np.ndarray]  # content of attention/<...>/<cohort>.npz
Thresholds = Mapping[str, float]  # by method


@dataclass(frozen=True)
class Scoring:
    """Whose maps are scored, by which localisation scores, and the pointing game's tolerance in longer image sides."""

    methods: Sequence[str]
    metrics: Sequence[str] = METRICS
    tolerance: float = TOLERANCE

    @property
    def tunes(self) -> bool:
        """Whether a score needs a tuned threshold."""
        return any(metric in TUNED for metric in self.metrics)

    def at(self, threshold: float | None) -> dict[str, Any]:
        """Arguments of `score_maps`; without a tuned threshold the scores at it are left out."""
        metrics = [metric for metric in self.metrics if threshold is not None or metric not in TUNED]
        return {"metrics": metrics, "tolerance": self.tolerance, "threshold": threshold}


def student_scores(
    student: StudentKey,
    attention: Mapping[str, Attention],
    rois: Mapping[str, Rois],
    cohorts: Mapping[str, CohortTables],
    scoring: Scoring,
    thresholds: Thresholds | None = None,
) -> pd.DataFrame:
    """The long table of one student.

    Args:
        student: whose.
        attention: for each cohort image_id (N), logits (N x L), labels (L) and each method's maps (N x g x g).
        rois: for each cohort the ROI of its store.
        cohorts: the four tables of each cohort.
        scoring: attention methods and localisation scores.
        thresholds: what `tuned_thresholds` gave; a method without one has no rows of the scores at it.

    Raises:
        KeyError: an array of a method is missing, or an image is not in the cohort's tables.
    """
    parts = []
    for cohort, arrays in attention.items():
        names = {**student._asdict(), "cohort": cohort}
        parts.append(localization_rows(arrays, rois[cohort], cohorts[cohort], scoring, thresholds or {}, names))
        parts.append(classification_rows(arrays, cohorts[cohort], names))
        parts += trust_rows(arrays, scoring.methods, cohorts[cohort], names)
    return concatenate(parts)


def tuned_thresholds(arrays: Attention, rois: Rois, methods: Sequence[str]) -> dict[str, float]:
    """For each method the threshold that suits these images' ROI best, see `tuned_threshold`.

    Args:
        arrays: maps of the images.
        rois: the table and the masks of their ROI.
        methods: of the maps.

    Returns:
        A threshold per method; empty, with a warning in the log, if none of the images has an ROI.
    """
    regions = Regions.unite(*rois, arrays["image_id"]).of(ANY)
    rows = pd.Index(arrays["image_id"]).get_indexer(regions.image_ids)
    if not len(rows):
        log.warning("no validation image has an ROI: there are no scores at a tuned threshold")
        return {}
    size = regions.masks.shape[-1]
    return {method: tuned_threshold(upsample(arrays[method][rows], size), regions.masks) for method in methods}


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


def localization_rows(
    arrays: Attention,
    rois: Rois,
    tables: CohortTables,
    scoring: Scoring,
    thresholds: Thresholds,
    names: Mapping[str, Any],
) -> pd.DataFrame:
    """Rows of a student's or a control's maps in a cohort.

    Args:
        arrays: image_id N, and maps N x g x g per method.
        rois: the table and the masks of the cohort's ROI.
        tables: the cohort.
        scoring: which methods and metrics.
        thresholds: for each method the tuned threshold.
        names: domain, arm, seed and cohort.
    """
    regions = Regions.unite(*rois, arrays["image_id"])
    row_of = pd.Index(arrays["image_id"]).get_indexer(regions.image_ids)
    scored, map_of_mask = np.unique(row_of, return_inverse=True)  # only the maps of images with an ROI are upsampled
    parts = []
    for method in scoring.methods:
        settings = scoring.at(thresholds.get(method))
        if not settings["metrics"]:
            continue
        values = score_grids(arrays[method][scored], regions.masks, map_of_mask, **settings)
        parts.append(region_rows(regions, values, method, patient_of_image(tables.images), names))
    rows = concatenate(parts)
    if rows["value"].isna().any():
        log.warning("%d of %d localisation scores are undefined", int(rows["value"].isna().sum()), len(rows))
    return rows


def region_rows(
    regions: Regions,
    values: Mapping[str, np.ndarray],
    method: str,
    patient_of: pd.Series,
    names: Mapping[str, Any],
) -> pd.DataFrame:
    """Rows of scores of regions.

    Args:
        regions: R of them.
        values: for each metric R values.
        method: of the maps.
        patient_of: the patient of each image, by image_id.
        names: domain, arm, seed and cohort.
    """
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


def classification_rows(
    arrays: Attention, tables: CohortTables, names: Mapping[str, Any], prefix: str = ""
) -> pd.DataFrame:
    """Rows `logit` and `target` of the labels that logits and cohort share.

    Args:
        arrays: image_id N, labels L and logits N x L.
        tables: the cohort, whose labels are the targets.
        names: domain, arm, seed and cohort.
        prefix: of the names of both metrics.
    """
    shared = [label for label in arrays["labels"].tolist() if label in tables.label_names]
    targets = tables.labels.set_index("image_id")[shared].reindex(arrays["image_id"])
    logits = pd.DataFrame(arrays["logits"], index=arrays["image_id"], columns=arrays["labels"].tolist())[shared]
    wide = {f"{prefix}logit": logits.where(targets.notna().to_numpy()), f"{prefix}target": targets}
    long = [
        table.rename_axis("image_id").reset_index().melt("image_id", var_name="label").dropna().assign(metric=metric)
        for metric, table in wide.items()
    ]
    rows = pd.concat(long, ignore_index=True)
    patients = _patients(rows["image_id"], patient_of_image(tables.images), names)
    return _typed(rows.assign(method="none", patient_id=patients, **names))


def trust_rows(
    arrays: Attention, methods: Sequence[str], tables: CohortTables, names: Mapping[str, Any]
) -> list[pd.DataFrame]:
    """Rows that show whether maps can be trusted, of every image: artefact tokens, and sinks by method.

    Method `none` of SINKS is the share of the patches that are sinks: what a uniform map has on them.

    Args:
        arrays: content of an export.
        methods: of its maps.
        tables: of the cohort.
        names: columns that are the same in all rows.
    """
    sinks = arrays[RECEIVED] > SINK
    values = {Score(ARTEFACTS, "none"): arrays["artefact_rate"], Score(SINKS, "none"): sinks.mean(axis=(1, 2))}
    values |= {Score(SINKS, method): mass_on(sinks, arrays[method]) for method in methods}
    return [named_rows(arrays["image_id"], score, value, tables, names) for score, value in values.items()]


def mass_on(patches: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """The share of each map on the given patches, N; 0 of a map of zeros.

    Args:
        patches: N x g x g bool.
        maps: N x g x g, not negative.
    """
    maps = maps.astype(np.float64)
    total = maps.sum(axis=(1, 2))
    return np.divide((maps * patches).sum(axis=(1, 2)), total, out=np.zeros_like(total), where=total != 0)


def named_rows(
    image_ids: np.ndarray, score: Score, values: np.ndarray, tables: CohortTables, names: Mapping[str, Any]
) -> pd.DataFrame:
    """One row per image, of a score.

    Args:
        image_ids: N.
        score: metric, method and label.
        values: N.
        tables: the cohort, which knows the patients.
        names: domain, arm, seed and cohort.
    """
    rows = pd.DataFrame({"image_id": image_ids, "value": values})
    patients = _patients(rows["image_id"], patient_of_image(tables.images), names)
    return _typed(rows.assign(**score.columns, patient_id=patients, **names))


def patient_of_image(images: pd.DataFrame) -> pd.Series:
    """patient_id by image_id."""
    return images.set_index("image_id")["patient_id"]


def _patients(image_ids: pd.Series, patient_of: pd.Series, names: Mapping[str, Any]) -> np.ndarray:
    patients = patient_of.reindex(image_ids)
    if patients.isna().any():
        missing = patients.index[patients.isna()].nunique()
        raise KeyError(f"{missing} scored images are not in the tables of cohort {names['cohort']}; rerun attention")
    return patients.to_numpy()


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    kinds = {name: "category" for name in COLUMNS if name not in ("seed", "value")}
    return table[COLUMNS].astype({"seed": "int32", "value": "float32", **kinds})
