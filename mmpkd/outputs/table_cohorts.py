"""What the study is made of: images, patients, ROI and labels of each cohort, and what was set aside."""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from mmpkd.cohorts.tables import SPLITS, CohortTables, read_tables
from mmpkd.imaging.store import NO_BREAST, noted
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.table import Table
from mmpkd.redaction import redact

Row = tuple[str, str, dict[str, int]]  # quantity, item, counts by split
COLUMNS = ["cohort", "quantity", "item", *SPLITS, "total"]
FEW = 0.02  # share of a cohort's images that may be without a breast before its reader is warned

log = logging.getLogger(__name__)


def make(inputs: Inputs) -> Table:
    """One row per cohort, quantity and item, read from the tables of the cohorts and from their image stores.

    Returns:
        cohort, quantity, item (a label, reason or decision), train, validate, test, total: counts, empty where a
        quantity knows no split.
    """
    stores = {name: folders for name, folders in inputs.keys["shards"].items() if folders}
    table = count_all(
        {name: read_tables(folder) for name, folder in inputs.keys["cohorts"].items()},
        {name: _rejected(folders) for name, folders in stores.items()},
        inputs.keys["labels"],
        {name: noted(folders) for name, folders in stores.items()},
    )
    return replace(table, design=inputs.design)


def count_all(
    cohorts: Mapping[str, CohortTables],
    stores: Mapping[str, pd.DataFrame] | None = None,
    labels: Mapping[str, Sequence[str]] | None = None,
    notes: Mapping[str, pd.DataFrame] | None = None,
) -> Table:
    """The table that `make` describes.

    Args:
        cohorts: the four tables of each cohort.
        stores: for each cohort the records that preprocessing set aside (record, reason); none for tables alone.
        labels: for each cohort the labels of its domain, so that those that it does not know are named.
        notes: for each cohort what was noted when its images were stored (image_id, note).
    """
    rows = []
    for name, tables in cohorts.items():
        stored, wanted = (stores or {}).get(name), (labels or {}).get(name, [])
        kept = _notes(tables, (notes or {}).get(name))
        for quantity, item, counts in [*_sizes(tables), *_labels(tables, wanted), *_set_aside(tables, stored), *kept]:
            rows.append({"cohort": name, "quantity": quantity, "item": item, **counts})
    result = pd.DataFrame(rows, columns=COLUMNS).astype({column: "Int64" for column in (*SPLITS, "total")})
    caption = (
        "The cohorts of the study by split. Images, studies, patients, regions of interest (ROI) and "
        "labels are what the adapters returned; an image may have several ROI. Positive and unknown count images; "
        "unknown in every image is a label of the study that the data set does not have, on which the cohort is not "
        "evaluated. "
        "Rejected: records set aside, with the reason, when the data set was read or when its images were stored "
        "(numbers in a reason are written #). Decision: what the adapter resolved and how often. Noted: images that "
        "were stored, but differ from what their header, their table or the configuration says."
    )
    return Table(result, caption + "".join(f" {warning}" for warning in _warnings(result)))


def _rejected(folders: Sequence[str]) -> pd.DataFrame:
    """The records that preprocessing set aside in an image store."""
    return pd.concat([pd.read_csv(f"{folder}/rejected.csv", dtype=str) for folder in folders])


def _sizes(tables: CohortTables) -> Iterator[Row]:
    images = tables.images
    with_roi = images[images["image_id"].isin(tables.rois["image_id"])]
    rois = tables.rois.merge(images[["image_id", "split"]], on="image_id")
    yield "images", "", _by_split(images["split"])
    yield "studies", "", _by_split(images.drop_duplicates("study_id")["split"])
    yield "patients", "", _by_split(images.drop_duplicates("patient_id")["split"])
    yield "privileged records", "", _by_split(tables.privileged["split"])
    yield "images with ROI", "", _by_split(with_roi["split"])
    for label, of_label in rois.groupby("label"):
        yield "ROI", label, _by_split(of_label["split"])


def _labels(tables: CohortTables, wanted: Sequence[str]) -> Iterator[Row]:
    split = tables.images["split"]
    for label in tables.label_names:
        values = tables.labels[label]
        yield "positive", label, _by_split(split[(values == 1).to_numpy()])
        if values.isna().any():
            yield "unknown", label, _by_split(split[values.isna().to_numpy()])
    for label in wanted:
        if label not in tables.label_names:
            yield "unknown", label, _by_split(split)


def _set_aside(tables: CohortTables, stored: pd.DataFrame | None) -> Iterator[Row]:
    for quantity, rejected in (("rejected when read", tables.rejected), ("rejected when stored", stored)):
        if rejected is not None and len(rejected):
            reasons = rejected["reason"].map(lambda reason: re.sub(r"\d+", "#", redact(reason)))
            for reason, count in reasons.value_counts().items():
                yield quantity, reason, {"total": count}
    for decision, count in sorted(tables.notes.items()):
        yield "decision", decision.replace("_", " "), {"total": count}


def _notes(tables: CohortTables, noted: pd.DataFrame | None) -> Iterator[Row]:
    if noted is not None:
        for note, of_note in noted.merge(tables.images[["image_id", "split"]], on="image_id").groupby("note"):
            yield "noted when stored", note, _by_split(of_note["split"])


def _warnings(result: pd.DataFrame) -> list[str]:
    """A sentence, in the log too, for each cohort in which more than a few images show no breast."""
    totals = result.set_index(["cohort", "quantity", "item"])["total"]
    without = totals[totals.index.get_level_values("item") == NO_BREAST]
    warnings = [
        f"Warning: in {count} of {totals[cohort, 'images', '']} images of {cohort} no breast was found; they are not "
        "cropped, turned or freed of labels. Look at some of them before you use the results."
        for (cohort, _, _), count in without.items()
        if count > FEW * totals[cohort, "images", ""]
    ]
    for warning in warnings:
        log.warning(warning)
    return warnings


def _by_split(splits: pd.Series) -> dict[str, int]:
    return {split: int((splits == split).sum()) for split in SPLITS} | {"total": len(splits)}
