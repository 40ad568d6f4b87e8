"""The four tables that every cohort adapter returns, and the records that it set aside.

images      image_id, patient_id, study_id, split, path, view, laterality, rows, columns, restricted
labels      image_id, one float column a label: 1, 0, NaN = unknown or masked
rois        roi_id, image_id, label, kind, x0, y0, x1, y1, polygon, mask_path
privileged  record_id, key, patient_id, split, then the raw report or the raw metadata columns
rejected    record, reason

`path` and `mask_path` are relative to the cohort's image root. Boxes and polygons are in pixels of the original
image, x to the right, y downwards, pixel centres at half-integers, so that a box covers [x0, x1) x [y0, y1).
`polygon` is JSON: [[x, y], ...], or for the kind `rle` a mask as run lengths, see `mmpkd.cohorts.rois`. A mask with x0
and y0 is a part of the image whose top left pixel lies there. `key` names the images that a privileged record speaks
of: a study_id or an image_id, as `key_name` says. `rows` and `columns` are <NA> where only the image's header knows
them. `restricted` says that the licence of this one image lets nobody show it; it is False where a table lacks it.

Splits have no leaks: no patient stands in two of them (`resolve`).
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from mmpkd.files import write_csv, write_json, write_parquet

SPLITS = ("train", "validate", "test")
RANK = {split: rank for rank, split in enumerate(SPLITS)}  # train < validate < test
ROI_KINDS = ("box", "polygon", "mask", "rle")
IMAGE_COLUMNS = {
    "image_id": "str",
    "patient_id": "str",
    "study_id": "str",
    "split": "str",
    "path": "str",
    "view": "str",
    "laterality": "str",
    "rows": "Int32",
    "columns": "Int32",
    "restricted": "bool",
}
ROI_COLUMNS = {
    "roi_id": "str",
    "image_id": "str",
    "label": "str",
    "kind": "str",
    "x0": "float64",
    "y0": "float64",
    "x1": "float64",
    "y1": "float64",
    "polygon": "str",
    "mask_path": "str",
}
PRIVILEGED_COLUMNS = {"record_id": "str", "key": "str", "patient_id": "str", "split": "str"}
REJECTED_COLUMNS = {"record": "str", "reason": "str"}


class TableError(ValueError):
    """A cohort table breaks its contract; the message names the table, the column and the first offending row."""


def empty(columns: dict[str, str]) -> pd.DataFrame:
    """An empty table of the given columns."""
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})


@dataclass(frozen=True)
class Fields:
    """What a data set declares of the columns of its case descriptions; any other column holds terms.

    Attributes:
        numbers: columns of numbers, with the ends of their scale, off which a value is missing; None: any number.
        applies: columns that may not apply: the column and the value of the rows that they apply to.
        withheld: the label under another name, which no teacher ever sees.
        spellings: terms, with the spelling that is kept.
        lesions: a row is one of the lesions of a case, and the columns in `applies` describe it.
    """

    numbers: Mapping[str, tuple[float, float] | None] = field(default_factory=dict)
    applies: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    withheld: tuple[str, ...] = ()
    spellings: Mapping[str, str] = field(default_factory=dict)
    lesions: bool = False


@dataclass
class CohortTables:
    """What an adapter returns. `image_root` is the folder that `path` and `mask_path` start from."""

    image_root: Path
    images: pd.DataFrame
    labels: pd.DataFrame
    rois: pd.DataFrame = field(default_factory=lambda: empty(ROI_COLUMNS))
    privileged: pd.DataFrame = field(default_factory=lambda: empty(PRIVILEGED_COLUMNS))
    rejected: pd.DataFrame = field(default_factory=lambda: empty(REJECTED_COLUMNS))
    key_name: Literal["study_id", "image_id"] = "study_id"
    notes: dict[str, int] = field(default_factory=dict)  # counted decisions, such as patients moved between splits
    fields: Fields = Fields()

    def __post_init__(self) -> None:
        restricted = self.images.get("restricted", False)
        self.images = _conform(self.images.assign(restricted=restricted), IMAGE_COLUMNS, "images", key="image_id")
        self.rois = _conform(self.rois, ROI_COLUMNS, "rois", key="roi_id")
        self.privileged = _conform(self.privileged, PRIVILEGED_COLUMNS, "privileged", key="record_id")
        self.rejected = _conform(self.rejected, REJECTED_COLUMNS, "rejected")
        self.labels = _conform(self.labels, {"image_id": "str"}, "labels", key="image_id")
        self._check()

    @property
    def label_names(self) -> list[str]:
        """The labels that this cohort knows."""
        return [name for name in self.labels.columns if name != "image_id"]

    @property
    def kept(self) -> int:
        """Images, ROI and privileged records together."""
        return len(self.images) + len(self.rois) + len(self.privileged)

    def _check(self) -> None:
        _among(self.images, "images", "split", SPLITS)
        _among(self.privileged, "privileged", "split", SPLITS)
        _among(self.rois, "rois", "kind", ROI_KINDS)
        known = self.images["image_id"]
        if list(self.labels["image_id"]) != list(known):
            raise TableError("labels: rows must be those of images, in the same order")
        _among(self.rois, "rois", "image_id", known)
        if len(self.images):
            _among(self.privileged, "privileged", "key", self.images[self.key_name])
        splits = self.images.groupby("patient_id")["split"].nunique()
        if (splits > 1).any():
            raise TableError(f"images: {int((splits > 1).sum())} patients stand in more than one split")
        values = self.labels[self.label_names]
        if not (values.isna() | values.isin([0.0, 1.0])).all(axis=None):
            raise TableError("labels: values must be 1, 0 or NaN")

    def write(self, folder: str | Path) -> None:
        """Writes the tables and `cohort.json` to `folder`."""
        folder = Path(folder)
        for name in ("images", "labels", "rois", "privileged"):
            write_parquet(getattr(self, name), folder / f"{name}.parquet")
        write_csv(self.rejected, folder / "rejected.csv")
        facts = {"image_root": str(self.image_root), "key_name": self.key_name, "notes": self.notes}
        write_json({**facts, "fields": asdict(self.fields)}, folder / "cohort.json")


def read_tables(folder: str | Path) -> CohortTables:
    """Reads what `CohortTables.write` wrote."""
    folder = Path(folder)
    facts = json.loads((folder / "cohort.json").read_text(encoding="utf-8"))
    return CohortTables(
        image_root=Path(facts["image_root"]),
        key_name=facts["key_name"],
        notes=facts["notes"],
        fields=Fields(**facts["fields"]),
        rejected=pd.read_csv(folder / "rejected.csv", dtype=str, keep_default_na=False),
        **{name: pd.read_parquet(folder / f"{name}.parquet") for name in ("images", "labels", "rois", "privileged")},
    )


def _conform(table: pd.DataFrame, columns: dict[str, str], name: str, key: str | None = None) -> pd.DataFrame:
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise TableError(f"{name}: missing column(s) {', '.join(missing)}")
    further = [column for column in table.columns if column not in columns]
    table = table[list(columns) + further].reset_index(drop=True)
    for column, kind in columns.items():
        try:
            table[column] = table[column].astype(kind)
        except (ValueError, TypeError, OverflowError) as error:  # its text would quote the value
            raise TableError(f"{name}: {column} holds values that are no {kind} ({type(error).__name__})") from None
    if key is not None and table[key].duplicated().any():
        raise TableError(f"{name}: {int(table[key].duplicated().sum())} duplicate values of {key}")
    return table


def _among(table: pd.DataFrame, name: str, column: str, allowed: Collection[str]) -> None:
    wrong = ~is_among(table[column], allowed)
    if wrong.any():
        raise TableError(
            f"{name}: {int(wrong.sum())} values of {column} are not allowed, first in row {wrong.idxmax()}"
        )


def resolve(images: pd.DataFrame, held_out: Collection[str] = frozenset()) -> tuple[pd.DataFrame, dict[str, int]]:
    """Gives every patient one split: the most held-out one that any of their images has (test > validate > train).

    Nobody leaves a held-out split this way, so a published test set only grows.

    Args:
        images: with patient_id and split, one row per image (or a lesion, or a study).
        held_out: patients who go to test whatever their split.

    Returns:
        A copy of `images` with the resolved splits, in the same order, and the counts of what was moved:
        patients_in_several_splits, patients_held_out (by `held_out`, and not in test throughout), rows_moved.

    Raises:
        TableError: for a split other than train, validate and test.
    """
    unknown = ~images["split"].isin(SPLITS)
    if unknown.any():
        raise TableError(f"images: {int(unknown.sum())} values of split are none of {', '.join(SPLITS)}")
    rank = images["split"].map(RANK).astype("int64")
    by_patient = rank.groupby(images["patient_id"])
    top = by_patient.transform("max")
    named = images["patient_id"].isin(set(held_out))
    resolved = top.where(~named, RANK["test"])
    moved = resolved != rank
    counts = {
        "patients_in_several_splits": int((by_patient.nunique() > 1).sum()),
        "patients_held_out": int(images.loc[named & moved, "patient_id"].nunique()),
        "rows_moved": int(moved.sum()),
    }
    names = pd.Series(SPLITS, dtype="str")
    return images.assign(split=names.take(resolved.to_numpy()).to_numpy()), counts


def stable_share(patients: Iterable[str], share: float) -> set[str]:
    """A share of the patients, chosen by the SHA-256 of their identifiers.

    The choice of one patient depends on no other patient and on no random state, so it is the same on every machine and
    stays when further patients arrive.

    Args:
        patients: their identifiers.
        share: 0 to 1; about as many are chosen.
    """
    return {
        patient
        for patient in patients
        if int.from_bytes(hashlib.sha256(patient.encode()).digest()[:8], "big") < share * 2**64
    }


def is_among(values: pd.Series, known: Iterable) -> pd.Series:
    """Which values are known.

    `Series.isin` of pandas 3 makes an Arrow scalar of each value in `known`: 10 s for the 600,000 files of a large data
    set, where a set takes a quarter of one.

    Args:
        values: what is looked up.
        known: in which.

    Returns:
        A mask along `values`: true where the value is one of `known`.
    """
    if not isinstance(known, set | frozenset):
        known = set(known.tolist() if isinstance(known, pd.Series | pd.Index) else known)
    mask = np.fromiter(map(known.__contains__, values.tolist()), dtype=bool, count=len(values))
    return pd.Series(mask, index=values.index)
