"""How much a student relies on the marker of a phantom: by intervention, and by its maps.

Each scored image of a phantom whose habit has a marker is rendered with it and without it, and agrees in everything
else. Rows of the long table, of a student:

    marker_effect      a label absent from the image: its probability with the marker less that without; label `any`:
                       the mean over the absent labels
    unmarked           the same labels: the probability without the marker
    marker_mass        of a method's map of the rendering with the marker: the share of its mass on the marker
    marker_top_decile  the share of the top tenth of its pixels that lie on the marker

and of the control `uniform`: `marked`, whether the image itself bears the marker (1 or 0), and the two shares of a map
that is the same everywhere, which are the marker's area.

The student that minimises w_label CE + w_logit KL at temperature 1 predicts the weighted mean of the label's rate and
the teacher's probability. With the habit, an absent finding is labelled present with probability e if the marker is
there; a teacher that cannot see the marker says the same either way. So the marker raises the probability from p by

    (1 - p) e w_label / (w_label + w_logit)

where p is 0 for a finding that is plainly absent.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from mmpkd.cohorts.tables import CohortTables
from mmpkd.config.cohorts import Habit
from mmpkd.config.students import Arm
from mmpkd.design import CONTROL, Score
from mmpkd.evaluation.localization import in_parts, upsample
from mmpkd.evaluation.matrices import select
from mmpkd.evaluation.regions import Rois
from mmpkd.evaluation.scores import Attention, concatenate, named_rows
from mmpkd.imaging.store import roi_masks

EFFECT, UNMARKED, MASS, TOP_DECILE, MARKED = "marker_effect", "unmarked", "marker_mass", "marker_top_decile", "marked"
UNIFORM = {"domain": CONTROL, "arm": "uniform", "seed": 0}


@dataclass(frozen=True)
class Markers:
    """The markers of a cohort: whether each image of the tree bears one, by image_id, and the masks of all twins."""

    marked: pd.Series
    masks: Rois

    @classmethod
    def read(cls, truth: str | Path, folder: str | Path) -> "Markers":
        """From what was drawn in a phantom, and the image store of its twins.

        Args:
            truth: file with what was drawn.
            folder: of the image store of the twins.
        """
        drawn = pd.read_parquet(truth, columns=["image_id", "marked"]).drop_duplicates("image_id")
        return cls(drawn.set_index("image_id")["marked"], roi_masks([Path(folder)]))


def split_twins(arrays: Attention) -> dict[str, Attention]:
    """The content of `attention/.../seed<k>.twins.npz` by cohort."""
    cohorts = arrays["cohort"]
    return {
        cohort: {name: values if name == "labels" else values[cohorts == cohort] for name, values in arrays.items()}
        for cohort in np.unique(cohorts).tolist()
    }


def reliance_rows(
    own: Attention,
    twin: Attention,
    markers: Markers,
    tables: CohortTables,
    methods: list[str],
    names: Mapping[str, Any],
) -> pd.DataFrame:
    """A student's rows in a cohort of its modality.

    Args:
        own: maps and logits of the images of the tree.
        twin: those of the twins, which may be fewer.
        markers: of the cohort.
        tables: of the cohort, with the true labels.
        methods: attention methods.
        names: domain, arm, seed and cohort.
    """
    images = twin["image_id"]
    rows = pd.Index(own["image_id"]).get_indexer(images)
    marked = markers.marked.reindex(images).to_numpy(bool)
    parts = list(_effect_rows(own, twin, rows, marked, tables, names))
    masks = _masks_of(markers.masks, images)
    for method in methods:
        with_marker = np.where(marked[:, None, None], own[method][rows], twin[method])
        for metric, values in _shares(with_marker, masks).items():
            parts.append(named_rows(images, Score(metric, method), values, tables, names))
    return concatenate(parts)


def uniform_rows(markers: Markers, tables: CohortTables, names: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of the control `uniform` in a cohort.

    Args:
        markers: of the cohort.
        tables: of the cohort.
        names: columns that are the same in all rows.
    """
    table, masks = markers.masks
    images, area = table["image_id"].to_numpy(), (np.asarray(masks) != 0).mean(axis=(1, 2))
    values = {MARKED: markers.marked.reindex(images).to_numpy(float), MASS: area, TOP_DECILE: area}
    return concatenate(
        [named_rows(images, Score(name, "none"), value, tables, names) for name, value in values.items()]
    )


def marked_images(scores: pd.DataFrame, cohort: str) -> pd.Index:
    """The scored images of a cohort that bear the marker; none where no phantom has one.

    Args:
        scores: the long table.
        cohort: whose images are looked for.
    """
    rows = select(scores, cohort=cohort, metric=MARKED)
    return pd.Index(rows["image_id"].astype(str)[(rows["value"] == 1).to_numpy()])


def predicted_effect(habit: Habit, arm: Arm) -> float:
    """The marker effect on an absent finding, by this module's formula at p = 0; NaN for an arm that has no formula.

    Args:
        habit: of the phantom that students learn from.
        arm: whose losses share the weight.
    """
    if arm.teacher == "image" or arm.temperature != 1 or set(arm.weights) - {"label", "logit", "soft_label"}:
        return nan
    if habit.errors_follow == "chance":
        return 0.0
    total, label = sum(arm.weights.values()), arm.weights.get("label", 0.0)
    # The privileged teacher learns the errors if its data mention the marker.
    taught = total - label if habit.mentioned and arm.teacher == "privileged" else 0.0
    return habit.errors * (label * (1 - arm.smoothing) + taught) / total


def _effect_rows(
    own: Attention,
    twin: Attention,
    rows: np.ndarray,
    marked: np.ndarray,
    tables: CohortTables,
    names: Mapping[str, Any],
) -> Iterator[pd.DataFrame]:
    labels = [label for label in own["labels"].tolist() if label in tables.label_names]
    columns = [own["labels"].tolist().index(label) for label in labels]
    absent = tables.labels.set_index("image_id")[labels].reindex(twin["image_id"]).to_numpy() == 0
    here, there = expit(own["logits"][rows][:, columns]), expit(twin["logits"][:, columns])
    change = np.where(absent, np.where(marked[:, None], here - there, there - here), np.nan)
    without = np.where(absent, np.where(marked[:, None], there, here), np.nan)
    for metric, values in {EFFECT: change, UNMARKED: without}.items():
        for label, column in zip(labels, values.T, strict=True):
            known = np.isfinite(column)
            yield named_rows(twin["image_id"][known], Score(metric, "none", label), column[known], tables, names)
        known = absent.any(axis=1)
        mean = np.nanmean(values[known], axis=1)
        yield named_rows(twin["image_id"][known], Score(metric, "none"), mean, tables, names)


def _masks_of(rois: Rois, images: np.ndarray) -> np.ndarray:
    """N x S x S bool, in the order of the images."""
    table, masks = rois
    return np.asarray(masks)[pd.Index(table["image_id"]).get_indexer(images)] != 0


def _shares(grids: np.ndarray, masks: np.ndarray) -> dict[str, np.ndarray]:
    """For each map, N x g x g, the share of its mass and of its top tenth of pixels on its mask, N x S x S."""
    mass, top = np.empty(len(grids)), np.empty(len(grids))
    size = masks.shape[-1]
    own = np.arange(len(grids))  # mask i goes with map i
    for rows, maps, _ in in_parts(lambda part: upsample(grids[part].astype(np.float32), size), len(grids), own, size):
        positive, inside = np.maximum(maps, 0), masks[rows]
        mass[rows] = (positive * inside).sum(axis=(1, 2)) / positive.sum(axis=(1, 2))
        highest = maps >= np.quantile(maps, 0.9, axis=(1, 2), keepdims=True)
        top[rows] = (highest & inside).sum(axis=(1, 2)) / highest.sum(axis=(1, 2))
    return {MASS: mass, TOP_DECILE: top}
