"""From the long table to what statistics work on: one value per seed and image."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd


class MissingScores(LookupError):
    """The long table lacks what is asked for; the message names it."""


@dataclass(frozen=True)
class ScoreMatrix:
    """Values of one cell: every seed's student of a training domain on every image of a cohort."""

    values: np.ndarray  # S x N float64
    seeds: np.ndarray  # S, ascending
    images: pd.Index  # N image_id
    patients: np.ndarray  # N patient_id
    domain: str
    cohort: str
    n_undefined: int = 0  # images left out because a seed's value is missing or NaN

    @property
    def mean(self) -> float:
        """Mean over seeds and images; NaN without images."""
        return float(self.values.mean()) if self.values.size else float("nan")

    def restrict(self, keep: np.ndarray) -> "ScoreMatrix":
        """The images that the boolean mask `keep` chooses."""
        return replace(self, values=self.values[:, keep], images=self.images[keep], patients=self.patients[keep])

    def minus(self, other: "ScoreMatrix", paired: bool = True) -> "ScoreMatrix":
        """Differences image by image on the images that both have.

        Paired: seed by seed too, on the seeds that both have. Not paired: less the other's mean over its seeds.

        Args:
            other: what is subtracted.
            paired: whether seeds go together.

        Raises:
            MissingScores: no seed is common to both.
        """
        seeds = np.intersect1d(self.seeds, other.seeds) if paired else self.seeds
        if not len(seeds):
            raise MissingScores(f"{self.domain}@{self.cohort}: the arms that are compared have no seed in common")
        images = self.images.intersection(other.images, sort=False)
        mine, theirs = self.images.get_indexer(images), other.images.get_indexer(images)
        subtracted = other.values[np.searchsorted(other.seeds, seeds)] if paired else other.values.mean(axis=0)[None]
        return ScoreMatrix(
            values=self.values[np.searchsorted(self.seeds, seeds)][:, mine] - subtracted[:, theirs],
            seeds=seeds,
            images=images,
            patients=self.patients[mine],
            domain=self.domain,
            cohort=self.cohort,
            n_undefined=max(self.n_undefined, other.n_undefined),
        )


def select(scores: pd.DataFrame, **conditions: str) -> pd.DataFrame:
    """Rows of the long table whose columns have the given values."""
    chosen = np.ones(len(scores), dtype=bool)
    for column, value in conditions.items():
        chosen &= (scores[column] == value).to_numpy()
    return scores[chosen]


Contrast = Sequence[tuple[float, ScoreMatrix]]  # sum over its cells of the weight times the mean gain


def score_matrix(scores: pd.DataFrame, domain: str, arm: str, cohort: str, **conditions: str) -> ScoreMatrix:
    """The values of one arm in one cell.

    Args:
        scores: the long table, or the part of it that is of interest.
        domain: of the cell.
        arm: the arm.
        cohort: of the cell.
        **conditions: further columns that choose one value per image and seed: metric, method, label.

    Raises:
        MissingScores: there is no such row.
        ValueError: several rows are of the same image and seed.
    """
    wanted = {"domain": domain, "arm": arm, "cohort": cohort, **conditions}
    rows = select(scores, **wanted)
    if rows.empty:
        raise MissingScores("no scores of " + ", ".join(f"{name} {value}" for name, value in wanted.items()))
    return pivot(rows, domain, cohort)


def pivot(rows: pd.DataFrame, domain: str, cohort: str) -> ScoreMatrix:
    """Rows of one arm, cell, label, method and metric as a matrix; images without a value in some seed are left out.

    Args:
        rows: of the long table.
        domain: of training.
        cohort: that was scored.

    Raises:
        ValueError: several rows are of the same image and seed.
    """
    seed_of, seeds = pd.factorize(rows["seed"], sort=True)
    image_of, images = pd.factorize(rows["image_id"])
    values = np.full((len(seeds), len(images)), np.nan)
    values[seed_of, image_of] = rows["value"]
    cells = seed_of.astype(np.int64) * len(images) + image_of
    if len(np.unique(cells)) < len(rows):
        raise ValueError(f"{domain}@{cohort}: several scores of one image and seed; name metric, method and label")
    patients = np.empty(len(images), dtype=object)
    patients[image_of] = rows["patient_id"]
    defined = np.isfinite(values).all(axis=0)
    return ScoreMatrix(
        values=values[:, defined],
        seeds=np.asarray(seeds),
        images=pd.Index(np.asarray(images)[defined]),
        patients=patients[defined],
        domain=domain,
        cohort=cohort,
        n_undefined=int((~defined).sum()),
    )
