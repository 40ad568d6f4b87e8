"""The regions that maps are scored against: the union of an image's ROI, and one for each label."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

ANY = "any"
Rois = tuple[pd.DataFrame, np.ndarray]  # roi_id, image_id, label, ... and M x S x S masks, row by row


@dataclass(frozen=True)
class Regions:
    """Union masks of a cohort: `any` and one per label, for each image that has an ROI."""

    image_ids: np.ndarray  # R
    labels: np.ndarray  # R
    masks: np.ndarray  # R x S x S bool

    @classmethod
    def unite(cls, rois: pd.DataFrame, masks: np.ndarray, image_ids: Sequence[str] | np.ndarray) -> "Regions":
        """Unites the ROI of the given images.

        Args:
            rois: rows of `rois.parquet`.
            masks: one per row, M x S x S.
            image_ids: of the images that are kept, in order.

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

    def of(self, label: str) -> "Regions":
        """Those of one label alone."""
        chosen = self.labels == label
        return Regions(self.image_ids[chosen], self.labels[chosen], self.masks[chosen])

    @property
    def areas(self) -> np.ndarray:
        """R: share of the square's pixels that each union covers."""
        return self.masks.mean(axis=(1, 2))
