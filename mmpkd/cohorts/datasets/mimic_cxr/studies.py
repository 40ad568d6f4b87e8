"""What MIMIC-CXR has of a study: its labels and its report.

Labels are CheXpert's, read off the reports, and a radiologist's of the test set. A report is a text file, as it stands
on the disk.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from mmpkd.cohorts.label_policy import apply_policy
from mmpkd.cohorts.listing import Listing, MissingFilesError, require_some
from mmpkd.cohorts.paths import read_table, snake_case
from mmpkd.cohorts.rejections import Rejections
from mmpkd.cohorts.tables import is_among
from mmpkd.files import blame_storage
from mmpkd.logs import progress
from mmpkd.text import TextError, read_text

EXPERT_NAMES = {"airspace_opacity": "lung_opacity"}
SOURCE = "unpack mimic-cxr-reports.zip there, or set folders.reports (https://physionet.org/content/mimic-cxr/)"
READERS = 8  # batches that are read at a time: a disk in the network answers late, but many at once
BATCH = 500  # reports in a batch
SAMPLE = 200  # reports that a survey opens
MOST_BYTES = 20_000_000  # of a report: more is no report


def study_labels(
    path: Path, labels: list[str], rejections: Rejections, source: str, partial: bool = False
) -> pd.DataFrame:
    """Labels per study (index study_id): 1, 0, -1 (uncertain), NaN (blank). `partial`: the table may lack some.

    Args:
        path: of the table of CheXpert's or NegBio's labels.
        labels: that are read.
        rejections: takes rows that cannot be used.
        source: where to get the table, for the message.
        partial: whether it may lack some of the labels.

    Raises:
        FileNotFoundError: if there is no such table; the message names `source`, where to get it.
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
    """The radiologist's labels of test studies.

    Where even the radiologist was uncertain the label is masked, for nothing is scored against a guess; a blank is an
    absent finding. It raises as `study_labels` does.

    Args:
        path: of the table.
        labels: those that are wanted.
        rejections: takes what is set aside.
        source: where to get it.

    Returns:
        All of `labels`, NaN where the table lacks one.
    """
    given = study_labels(path, labels, rejections, source, partial=True)
    return apply_policy(given, dict.fromkeys(labels, "ignore"), dict.fromkeys(labels, "zeros")).reindex(columns=labels)


def image_labels(
    images: pd.DataFrame, chexpert: pd.DataFrame, expert: pd.DataFrame | None
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The labels of images.

    Args:
        images: with study_id and split.
        chexpert: CheXpert's labels by study.
        expert: the radiologist's labels by study, if there are any; they are those of test studies.

    Returns:
        Labels in the order of `images`, and how many test studies have labels of which source.
    """
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


def study_path(patients: pd.Series, studies: pd.Series) -> pd.Series:
    """The folder of each study's images, relative to the root; with `.txt` behind it, its report.

    Args:
        patients: identifiers.
        studies: identifiers, with the same index.
    """
    return "files/p" + patients.str[:2] + "/p" + patients + "/s" + studies


def read_reports(
    folder: Path, listed: Listing, images: pd.DataFrame, rejections: Rejections, survey: bool
) -> pd.DataFrame:
    """One row per study of `images` with its report; `listed` are the files below `folder`.

    With `survey` a sample of the reports is opened, so that it is known whether they can be read, and the text of each
    is "".

    Args:
        folder: of the reports.
        listed: the files below it.
        images: rows with `study_id` and `patient_id`.
        rejections: takes studies without a report.
        survey: whether only a sample is opened.

    Raises:
        FileNotFoundError: if there is no report, or none that can be used; the message counts the reasons.
    """
    studies = images.drop_duplicates("study_id")[["study_id", "patient_id", "split"]]
    path = listed.locate(study_path(studies["patient_id"], studies["study_id"]) + ".txt")
    reports = studies.rename(columns={"study_id": "record_id"}).assign(
        key=studies["study_id"], report="", path=path, file="s" + studies["study_id"] + ".txt"
    )
    reports = rejections.split_off(reports, path == "", "file", "report is missing")
    require_some(len(reports) or not len(studies), listed, f"no report of {len(studies)} studies", SOURCE, rejections)
    opened = reports if not survey else reports.iloc[:: -(-len(reports) // SAMPLE) or 1]
    read = _with_texts(opened, folder, rejections)
    if len(opened) and read.empty:
        raise MissingFilesError(f"{folder}: none of {len(opened)} reports can be used; {rejections.summary}")
    if survey:
        rejections.count({"reports_that_the_check_opened": len(opened)}, "survey")
        faulty = opened.index.difference(read.index)
        read = reports.drop(index=faulty)
    return read.drop(columns=["path", "file"])


def _with_texts(reports: pd.DataFrame, folder: Path, rejections: Rejections) -> pd.DataFrame:
    """Fills in `report`; sets those aside that cannot be read or hold nothing."""
    paths = [folder / path for path in reports["path"]]
    batches = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
    with ThreadPoolExecutor(READERS) as pool:
        parts = progress(pool.map(_read_batch, batches), "reports", total=len(batches), unit=f"x {BATCH}")
        outcomes = [outcome for part in parts for outcome in part]
    faults = pd.Series([fault for _, fault, _ in outcomes], index=reports.index, dtype="str")
    reports = reports.assign(report=pd.Series([text for text, _, _ in outcomes], index=reports.index, dtype="str"))
    if foreign := sum(encoding not in ("", "utf-8") for _, _, encoding in outcomes):
        rejections.count({"reports_in_another_encoding_than_utf-8": foreign}, "encodings")
    reports = rejections.split_off(reports, faults != "", "file", faults)
    return rejections.split_off(reports, reports["report"].str.strip() == "", "file", "report is empty")


def _read_batch(paths: list[Path]) -> list[tuple[str, str, str]]:
    """The text of each report, or what is wrong with it, and its encoding."""
    return [_read(path) for path in paths]


def _read(path: Path) -> tuple[str, str, str]:
    try:
        text = read_text(path, MOST_BYTES)
        return text.content, "", text.encoding
    except TextError as error:
        return "", f"report cannot be read: {error}", ""
    except OSError as error:
        blame_storage(error)
        return "", f"report cannot be read ({type(error).__name__})", ""
