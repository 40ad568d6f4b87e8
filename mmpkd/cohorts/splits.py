"""Splits without leaks: no patient stands in two of them."""

import hashlib
from collections.abc import Collection, Iterable

import pandas as pd

from mmpkd.cohorts.tables import SPLITS, TableError

RANK = {split: rank for rank, split in enumerate(SPLITS)}  # train < validate < test


def resolve(images: pd.DataFrame, held_out: Collection[str] = frozenset()) -> tuple[pd.DataFrame, dict[str, int]]:
    """Gives every patient one split: the most held-out one that any of their images has (test > validate > train).

    Nobody leaves a held-out split this way, so a published test set only grows.

    Args:
        images: with patient_id and split, one row an image (or a lesion, or a study).
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
    """About `share` of the patients, chosen by the SHA-256 of their identifiers.

    The choice of one patient depends on no other patient and on no random state, so it is the same on every machine and
    stays when further patients arrive.
    """
    return {
        patient
        for patient in patients
        if int.from_bytes(hashlib.sha256(patient.encode()).digest()[:8], "big") < share * 2**64
    }
