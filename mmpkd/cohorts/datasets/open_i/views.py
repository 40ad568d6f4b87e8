"""Which of Open-i's chest radiographs are frontal: the reports do not say it of a single image.

What shows a view, in the order in which it is believed:

1. `indiana_projections.csv` of Kaggle's copy of the collection (raddar/chest-xrays-indiana-university), whose author
   looked at every image: Frontal or Lateral.
2. The header of a DICOM file: ViewPosition (PA, AP; LL, RL or a word with LAT), PatientOrientation (its rows run to the
   patient's left or right in a frontal view, to front or back in a lateral one), SeriesDescription. Where the first two
   contradict each other, none is believed. These headers are noisy: fields are missing, or hold what is true of another
   image of the study (as torchxrayvision and Matt-Conrad/CXR_View_Classification report).
3. The caption. It describes the study, not the image (`Xray Chest PA and Lateral`), so it is believed only where the
   study has one image and the caption names one kind of view.

The order of a study's images, and their numbers, are not used: nothing documents that they show the view.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from mmpkd.cohorts.paths import existing, read_table
from mmpkd.files import blame_storage
from mmpkd.logs import progress

PROJECTIONS = "indiana_projections.csv"
PROJECTIONS_SOURCE = (
    "it is part of https://www.kaggle.com/datasets/raddar/chest-xrays-indiana-university (Kaggle account)"
)
TAGS = ["ViewPosition", "PatientOrientation", "SeriesDescription"]
UNREADABLE = (InvalidDicomError, OSError, ValueError, RuntimeError, NotImplementedError, AttributeError, KeyError)
LATERAL = re.compile(r"\bLAT|\b(?:LL|RL)\b")
FRONTAL = re.compile(r"\b(?:PA|AP|FRONTAL|PORTABLE)\b")
SEVERAL = re.compile(r"\b(?:2|TWO|3|THREE)[ -]?(?:V|VW|VIEWS?)\b")  # `Chest 2 views`: one of them is lateral


def image_key(name: str) -> str:
    """One name for an image, however it is written.

    `CXR1_1_IM-0001-3001` in a report, `CXR1_1_IM-0001-3001.png` and `CXR2_IM-0652-1001.png` in NLMCXR_png,
    `1/1_IM-0001-3001.dcm` in NLMCXR_dcm, `1_IM-0001-3001.dcm.png` in Kaggle's copy: `1_IM-0001-3001`.
    """
    stem = re.sub(r"(?:\.dcm)?(?:\.png)?$", "", name.rsplit("/", 1)[-1], flags=re.IGNORECASE)
    return re.sub(r"^(?:CXR)?(\d+)_(?:\1_)?", r"\1_", stem)


def read_projections(folder: Path) -> dict[str, str]:
    """`frontal` or `lateral` by `image_key`, from Kaggle's table; nothing if it is not there.

    Raises:
        TableFileError: if the table cannot be read.
    """
    path = existing(folder / PROJECTIONS)
    if not path.is_file():
        return {}
    table = read_table(path, ["filename", "projection"], PROJECTIONS_SOURCE)
    views = table["projection"].str.lower()
    known = views.isin(["frontal", "lateral"])
    return dict(zip(table.loc[known, "filename"].map(image_key), views[known], strict=True))


def views_of_headers(paths: Iterable[Path]) -> list[str]:
    """The view of each DICOM file by its header: PA, AP, frontal, lateral, or "" where it does not say."""
    return [_read_view(path) for path in progress(list(paths), "views", unit="header")]


def views_of_captions(images: pd.DataFrame) -> pd.Series:
    """The view of each image by its study's caption.

    Args:
        images: study_id and caption, and all images of each study.

    Returns:
        frontal, lateral, or "" where the caption does not say.
    """
    alone = images.groupby("study_id")["study_id"].transform("size") == 1
    stated = images["caption"].map({caption: view_of_words(caption) for caption in images["caption"].unique()})
    return stated.where(alone, "").astype("str")


def view_of_words(words: str) -> str:
    """The view that a description names: frontal, lateral, or "" where it names none, or both."""
    words = words.upper()
    lateral, frontal = bool(LATERAL.search(words)), bool(FRONTAL.search(words))
    if lateral == frontal or SEVERAL.search(words):
        return ""
    return "lateral" if lateral else "frontal"


def view_of_header(header: Dataset) -> str:
    """The view by a DICOM header: PA, AP, frontal, lateral, or "" where it does not say, or contradicts itself."""
    position = str(header.get("ViewPosition", None) or "").strip().upper()
    stated = position if position in ("PA", "AP") else view_of_words(position)
    rows = str((header.get("PatientOrientation", None) or [""])[0]).strip().upper()[:1]
    oriented = {"L": "frontal", "R": "frontal", "A": "lateral", "P": "lateral"}.get(rows, "")
    if stated and oriented and (stated == "lateral") != (oriented == "lateral"):
        return ""
    return stated or oriented or view_of_words(str(header.get("SeriesDescription", None) or ""))


def _read_view(path: Path) -> str:
    """The view by the file's header; "" where it cannot be read, which is found out when the image is stored."""
    try:
        return view_of_header(dcmread(path, stop_before_pixels=True, specific_tags=TAGS))
    except UNREADABLE as error:
        blame_storage(error)
        return ""
