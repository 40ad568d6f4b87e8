"""The reports of MIMIC-CXR: a text file a study, as they stand on the disk."""

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from mmpkd.cohorts.membership import is_among
from mmpkd.cohorts.rejections import Rejections
from mmpkd.files import blame_storage
from mmpkd.logs import progress

SOURCE = "unpack mimic-cxr-reports.zip there, or set folders.reports (https://physionet.org/content/mimic-cxr/)"
READERS = 8  # batches that are read at a time: a disk in the network answers late, but many at once
BATCH = 500  # reports in a batch


def study_path(patients: pd.Series, studies: pd.Series) -> pd.Series:
    """The folder of each study's images, relative to the root; with `.txt` behind it, its report."""
    return "files/p" + patients.str[:2] + "/p" + patients + "/s" + studies


def read_reports(
    folder: Path, listed: Collection[str], images: pd.DataFrame, rejections: Rejections, survey: bool
) -> pd.DataFrame:
    """One row a study of `images` with its report; `listed` are the files below `folder`.

    With `survey` no report is opened and the text of each is "".

    Raises:
        FileNotFoundError: if there is no report for any study.
    """
    studies = images.drop_duplicates("study_id")[["study_id", "patient_id", "split"]]
    path = study_path(studies["patient_id"], studies["study_id"]) + ".txt"
    reports = studies.rename(columns={"study_id": "record_id"}).assign(
        key=studies["study_id"], report="", path=path, file="s" + studies["study_id"] + ".txt"
    )
    reports = rejections.split_off(reports, ~is_among(path, listed), "file", "report is missing")
    if not survey:
        reports = _with_texts(reports, folder, rejections)
    if len(studies) and reports.empty:
        raise FileNotFoundError(f"{folder}: holds no report of {len(studies)} studies; {SOURCE}")
    return reports.drop(columns=["path", "file"])


def _with_texts(reports: pd.DataFrame, folder: Path, rejections: Rejections) -> pd.DataFrame:
    """Fills in `report`; sets those aside that cannot be read or hold nothing."""
    paths = [folder / path for path in reports["path"]]
    batches = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
    with ThreadPoolExecutor(READERS) as pool:
        parts = progress(pool.map(_read_batch, batches), "reports", total=len(batches), unit=f"x {BATCH}")
        outcomes = [outcome for part in parts for outcome in part]
    faults = pd.Series([fault for _, fault in outcomes], index=reports.index, dtype="str")
    reports = reports.assign(report=pd.Series([text for text, _ in outcomes], index=reports.index, dtype="str"))
    reports = rejections.split_off(reports, faults != "", "file", faults)
    return rejections.split_off(reports, reports["report"].str.strip() == "", "file", "report is empty")


def _read_batch(paths: list[Path]) -> list[tuple[str, str]]:
    """The text of each report, or what is wrong with it."""
    return [_read(path) for path in paths]


def _read(path: Path) -> tuple[str, str]:
    try:
        return path.read_text(encoding="utf-8"), ""
    except (OSError, UnicodeDecodeError) as error:
        blame_storage(error)
        return "", f"report cannot be read ({type(error).__name__})"
