"""Single test images: which may be shown, how they rank by gain, their ROI, and where students look on them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mmpkd.design import Cell, Score
from mmpkd.evaluation.matrices import score_matrix
from mmpkd.evaluation.reliability import probabilities
from mmpkd.evaluation.statistics import gain_matrix


def ranked_gains(scores: pd.DataFrame, cell: Cell, arm: str, reference: str, score: Score) -> pd.Series:
    """Gain of each image, mean over seeds, by image_id: the lowest first, equal ones in the order of image_id.

    Args:
        scores: the long table.
        cell: the training domain and the cohort.
        arm: whose gain it is, image by image and seed by seed.
        reference: the arm that it is compared with.
        score: which score.

    Raises:
        mmpkd.evaluation.matrices.MissingScores: an arm has no scores in the cell.
    """
    matrix = gain_matrix(scores, cell, arm, reference, score)
    return pd.Series(matrix.values.mean(axis=0), index=matrix.images).sort_index().sort_values(kind="stable")


def showable(scores: pd.DataFrame, folders: Mapping[str, str]) -> pd.DataFrame:
    """The rows of the long table without those of images that their licences let nobody show.

    Args:
        scores: the long table.
        folders: the folder of each cohort's tables.
    """
    for cohort, folder in folders.items():
        images = pd.read_parquet(Path(folder) / "images.parquet", columns=["image_id", "restricted"])
        hidden = set(images.loc[images["restricted"], "image_id"])
        if hidden:
            scores = scores[(scores["cohort"] != cohort) | ~scores["image_id"].isin(hidden)]
    return scores


def mean_scores(scores: pd.DataFrame, cell: Cell, arm: str, score: Score) -> pd.Series:
    """Score of each image of a cell, mean over an arm's seeds, by image_id; arguments as for `ranked_gains`."""
    matrix = score_matrix(scores, cell.domain, arm, cell.cohort, **score.columns)
    return pd.Series(matrix.values.mean(axis=0), index=matrix.images)


def mean_map(exports: Sequence[Mapping[str, np.ndarray]], image_id: str, method: str) -> np.ndarray:
    """An image's map on the patch grid: mean over seeds, in multiples of a uniform map.

    Each seed's map is turned into shares first, so that the scale of none is a weight; one without mass stays zero.

    Args:
        exports: one per seed.
        image_id: which image; each export holds it.
        method: of the maps.

    Returns:
        g x g.
    """
    maps = [export[method][np.flatnonzero(export["image_id"] == image_id)[0]].astype(np.float64) for export in exports]
    shares = np.mean([one / (one.sum() or 1.0) for one in maps], axis=0)
    return shares * shares.size


def mean_probabilities(exports: Sequence[Mapping[str, np.ndarray]], image_id: str) -> dict[str, float]:
    """The probability of each label that students predict for an image: mean over seeds, three decimals.

    Args:
        exports: one per seed.
        image_id: which image; each export holds it.
    """
    places = [np.flatnonzero(export["image_id"] == image_id)[0] for export in exports]
    odds = [export["logits"][place] for export, place in zip(exports, places, strict=True)]
    means = probabilities(np.asarray(odds)).mean(axis=0)
    return {str(label): round(float(mean), 3) for label, mean in zip(exports[0]["labels"], means, strict=True)}


def united_roi(rois: tuple[pd.DataFrame, np.ndarray], image_id: str) -> np.ndarray:
    """The union of an image's ROI, S x S bool.

    Args:
        rois: rows of `rois.parquet` and the masks, M x S x S.
        image_id: the image.
    """
    table, masks = rois
    return (masks[(table["image_id"] == image_id).to_numpy()] != 0).any(axis=0)
