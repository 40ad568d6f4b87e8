"""One row a privileged record: what the teacher reads, and the labels that it learns from."""

import logging

import pandas as pd

from mmpkd.cohorts.tables import CohortTables, Fields
from mmpkd.privileged.metadata import describe_case, normalize
from mmpkd.privileged.sections import KNOWN_SECTIONS, split_sections

log = logging.getLogger("mmpkd.records")

KEYS = ["record_id", "key", "patient_id", "split"]
OTHER = "other"  # sections under headers that the parser does not know, each with its header
SECTION_COLUMNS = [name.replace(" ", "_") for name in KNOWN_SECTIONS] + [OTHER]


def build(tables: CohortTables, kind: str, labels: list[str]) -> pd.DataFrame:
    """Turns a cohort's privileged table into records.

    Args:
        tables: the cohort.
        kind: "text" (a `report` column) or "tabular" (a column a field).
        labels: what the teacher learns.

    Returns:
        record_id, key, patient_id, split, subset; for text the columns `SECTION_COLUMNS`, "" where a report lacks the
        section; for tabular the normalised fields, what `metadata.describe_case` derives of lesions, and `official_set`
        where the cohort has one; then `target_<label>`: the record's own where the cohort gives it, else the largest
        label of the images of its key, NaN where unknown.

    Raises:
        ValueError: the cohort has no privileged records, or they are of another kind.
    """
    privileged = tables.privileged
    if privileged.empty:
        raise ValueError("the cohort has no privileged records; its rejected.csv says why records were left out")
    is_text = "report" in privileged.columns
    if is_text != (kind == "text"):
        has = "reports" if is_text else "no column `report`"
        raise ValueError(f"a {kind} teacher cannot read this cohort's privileged records: they have {has}")
    described = _sections(privileged) if is_text else _description(privileged, tables.fields)
    targets = _targets(tables, labels)
    columns = [*KEYS, "subset"]
    subset = privileged["subset"].astype("str") if "subset" in privileged else ""
    records = pd.concat([privileged[KEYS].assign(subset=subset)[columns], described, targets], axis=1)
    log.info("%d records of %d patients", len(records), records["patient_id"].nunique())
    return records


def _sections(privileged: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for report, study in zip(privileged["report"].fillna(""), privileged["record_id"], strict=True):
        sections = split_sections(report, study)
        other = [f"{name}: {text}" for name, text in sections.items() if name not in KNOWN_SECTIONS]
        rows.append([sections.get(name, "") for name in KNOWN_SECTIONS] + [" ".join(other)])
    table = pd.DataFrame(rows, columns=SECTION_COLUMNS, index=privileged.index, dtype="str")
    for name in ("findings", "impression", "last_paragraph", "full_report"):
        log.info("%s: in %d reports", name, int((table[name] != "").sum()))
    return table


def _description(privileged: pd.DataFrame, fields: Fields) -> pd.DataFrame:
    parts = [normalize(privileged, fields).drop(columns="subset", errors="ignore")]
    if fields.lesions:
        parts.append(describe_case(privileged, fields))
    official = [name for name in ["official_set"] if name in privileged]
    return pd.concat([*parts, privileged[official]], axis=1)


def _targets(tables: CohortTables, labels: list[str]) -> pd.DataFrame:
    by_key = (
        tables.labels[tables.label_names].groupby(tables.images[tables.key_name]).max()
    )  # rows of both tables agree
    keys = tables.privileged["key"]
    targets = {}
    for label in labels:
        name = f"target_{label}"
        if name in tables.privileged:
            targets[name] = tables.privileged[name].astype("float64")
        else:
            targets[name] = keys.map(by_key[label]) if label in by_key else pd.Series(float("nan"), index=keys.index)
        known = targets[name].notna()
        log.info("%s: %d positive of %d known", label, int(targets[name].eq(1).sum()), int(known.sum()))
    return pd.DataFrame(targets, index=tables.privileged.index).astype("float64")
