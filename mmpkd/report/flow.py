"""Cohort flow: what was read, what was set aside and why, and what was scored, as a study's flow diagram states it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mmpkd.cohorts.tables import SPLITS
from mmpkd.evaluation.matrices import select


@dataclass(frozen=True)
class Flow:
    """The flow of one cohort; counts are of images unless said otherwise."""

    cohort: str
    records: int  # images kept and entries set aside while reading
    not_read: Mapping[str, int]  # entries set aside while reading, by reason
    images: int
    patients: int
    splits: Mapping[str, int]
    with_roi: Mapping[str, int]  # of each split
    not_stored: Mapping[str, int]  # images and ROI set aside while images were stored, by reason
    scored: int  # test images whose ROI were scored

    @property
    def left_out(self) -> int:
        """Entries set aside in both stages."""
        return sum(self.not_read.values()) + sum(self.not_stored.values())


def read_flows(csv: str | Path, scores: pd.DataFrame) -> list[Flow]:
    """The flow of every cohort, in order.

    Args:
        csv: `tables/cohorts.csv`; its reasons name nobody (see `mmpkd.redaction`).
        scores: the long table; every scored image has a row of the control `uniform`.
    """
    table = pd.read_csv(csv, keep_default_na=False, na_values={name: [""] for name in (*SPLITS, "total")})
    scored = select(scores, domain="control", arm="uniform", label="any")
    images = scored.groupby("cohort", observed=True)["image_id"].nunique()
    return [_flow(str(name), part, int(images.get(name, 0))) for name, part in table.groupby("cohort", sort=False)]


def _flow(cohort: str, table: pd.DataFrame, scored: int) -> Flow:
    def reasons(quantity: str) -> dict[str, int]:
        rows = table[table["quantity"] == quantity].sort_values("total", ascending=False, kind="stable")
        return {reason: int(total) for reason, total in zip(rows["item"], rows["total"], strict=True)}

    sizes = table.set_index("quantity").loc[["images", "patients", "images with ROI"], [*SPLITS, "total"]].astype(int)
    not_read = reasons("rejected when read")
    return Flow(
        cohort=cohort,
        records=int(sizes.at["images", "total"]) + sum(not_read.values()),
        not_read=not_read,
        images=int(sizes.at["images", "total"]),
        patients=int(sizes.at["patients", "total"]),
        splits={split: int(sizes.at["images", split]) for split in SPLITS},
        with_roi={split: int(sizes.at["images with ROI", split]) for split in SPLITS},
        not_stored=reasons("rejected when stored"),
        scored=scored,
    )
