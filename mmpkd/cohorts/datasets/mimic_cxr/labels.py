"""Labels of MIMIC-CXR's studies: CheXpert's, read off the reports, and a radiologist's of the test set."""

from pathlib import Path

import pandas as pd

from mmpkd.cohorts.label_policy import apply_policy
from mmpkd.cohorts.paths import read_table, snake_case
from mmpkd.cohorts.rejections import Rejections
from mmpkd.cohorts.tables import is_among

EXPERT_NAMES = {"airspace_opacity": "lung_opacity"}


def study_labels(
    path: Path, labels: list[str], rejections: Rejections, source: str, partial: bool = False
) -> pd.DataFrame:
    """Labels a study (index study_id): 1, 0, -1 (uncertain), NaN (blank). `partial`: the table may lack some.

    Raises:
        FileNotFoundError: if there is no such table; the message tells `source`, where it is to be had.
        TableFileError: if it cannot be read.
    """
    names = {snake_case(label): label for label in labels}
    required, optional = (["study_id"], [*names, *EXPERT_NAMES]) if partial else (["study_id", *names], [])
    table = read_table(path, required, source, optional=optional).rename(columns=EXPERT_NAMES)
    table = table[["study_id", *(name for name in names if name in table)]]
    table = rejections.split_off(
        table, table.duplicated("study_id"), "study_id", f"second row of a study in {path.name}"
    )
    values = table.drop(columns="study_id").apply(
        lambda cells: pd.to_numeric(cells.replace("", "nan"), errors="coerce")
    )
    wrong = (~values.isin([1, 0, -1]) & (table[values.columns] != "")).any(axis=1)
    values.index = table["study_id"]
    rejections.add(table.loc[wrong, "study_id"], f"label in {path.name} is not 1, 0, -1 or blank")
    return values[~wrong.to_numpy()].rename(columns=names)


def expert_labels(path: Path, labels: list[str], rejections: Rejections, source: str) -> pd.DataFrame:
    """The radiologist's labels of test studies, all of `labels` (NaN where the table lacks one).

    Where even the radiologist was uncertain the label is masked, for nothing is scored against a guess; a blank is an
    absent finding. Raises as `study_labels` does.
    """
    given = study_labels(path, labels, rejections, source, partial=True)
    return apply_policy(given, dict.fromkeys(labels, "ignore"), dict.fromkeys(labels, "zeros")).reindex(columns=labels)


def image_labels(
    images: pd.DataFrame, chexpert: pd.DataFrame, expert: pd.DataFrame | None
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Labels in the order of `images`, and how many test studies have labels of which source."""
    table = chexpert.reindex(images["study_id"]).set_axis(images.index)
    in_test = images["split"] == "test"
    tested = images.loc[in_test, "study_id"]
    judged = tested[is_among(tested, expert.index)] if expert is not None else tested.iloc[:0]
    notes = {
        "test_studies_with_radiologists_labels": judged.nunique(),
        "test_studies_masked": tested.nunique() - judged.nunique() if expert is not None else 0,
    }
    if expert is not None:
        table.loc[in_test] = expert.reindex(columns=table.columns).reindex(tested).to_numpy()
    table.insert(0, "image_id", images["image_id"])
    return table, notes
