"""The files of INbreast: its table in three formats, and the contours that OsiriX exported, one property list an image.

What public readers of the release agree on is taken for its format; the release itself was not at hand:
`Images` > `ROIs` > `Name`, `Point_px`, whose points are texts such as "(1234.5, 678.9)", x first, in pixels of the
original image; a calcification too small for a contour is one point. Names are spelt in several ways.
"""

import plistlib
import re
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from xml.parsers.expat import ExpatError

import numpy as np
import pandas as pd

from mmpkd.cohorts.paths import TableFileError, snake_case
from mmpkd.files import blame_storage
from mmpkd.text import read_text

# What annotators called a finding, in lower case, and what it is here; "" is a finding of neither label.
KINDS = {
    "mass": "mass",
    "spiculated region": "mass",
    "espiculated region": "mass",
    "calcification": "calcification",
    "calcifications": "calcification",
    "cluster": "calcification",
    "asymmetry": "",
    "assymetry": "",
    "distortion": "",
    "pectoral muscle": "",
}
UNREADABLE = (OSError, ValueError, TypeError, KeyError, AttributeError, IndexError, ExpatError, RecursionError)
DECLARATION = re.compile(r"^<\?xml[^>]*\?>")  # names an encoding, which the text has no more
LEAST_AREA = 1.0  # square pixels, below which a contour is a point or a line


class ContourFileError(ValueError):
    """A file of contours cannot be read; the message is the reason."""


@dataclass(frozen=True)
class Contour:
    """One marked finding: its name as written, and its points, N x 2 (x, y); None if they cannot be read."""

    name: str
    points: np.ndarray | None

    @property
    def kind(self) -> str | None:
        """mass, calcification, "" for a finding that is neither, None where the name does not tell."""
        return KINDS.get(" ".join(self.name.lower().split()))

    def polygon(self, least_side: float) -> list[list[float]]:
        """The contour; where it has no area, the box around its points, at least `least_side` pixels a side."""
        if _area(self.points) >= LEAST_AREA:
            return self.points.tolist()
        low, high = self.points.min(axis=0), self.points.max(axis=0)
        wider = np.maximum(least_side - (high - low), 0) / 2
        (x0, y0), (x1, y1) = (low - wider).tolist(), (high + wider).tolist()
        return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]


def read_contours(path: Path) -> list[Contour]:
    """The contours of one file, in its order.

    `plistlib` refuses entity declarations, so that no file can name another one or grow when it is read.

    Raises:
        ContourFileError: if it is no property list of images with ROI.
    """
    try:
        content = DECLARATION.sub("", read_text(path).content.lstrip())
        images = plistlib.loads(content.encode(), fmt=plistlib.FMT_XML)["Images"]
        marks = [mark for image in images for mark in image["ROIs"]]
        return [Contour(str(mark.get("Name", "")), _points(mark.get("Point_px"))) for mark in marks]
    except UNREADABLE as error:
        blame_storage(error)
        raise ContourFileError("file of contours cannot be read") from error


def read_sheet(path: Path, columns: list[str], source: str, optional: list[str]) -> pd.DataFrame:
    """Reads INbreast.xls, .xlsx or .csv (commas or semicolons) as text, with its column names in snake case.

    Cells lose the white space around them; an empty cell is "", and a whole number has no decimals.

    Raises:
        FileNotFoundError: if there is no such file.
        TableFileError: if it cannot be read, or if it lacks one of `columns`; `optional` ones are kept where there.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; {source}")
    try:
        table = _read_csv(path) if path.suffix.lower() == ".csv" else _read_excel(path)
    except ImportError as error:
        raise TableFileError(f"{path}: {error}; or save the sheet as INbreast.csv beside it") from error
    except Exception as error:  # the readers of spreadsheets raise every kind
        raise TableFileError(f"{path}: not a readable table ({type(error).__name__}); {source}") from error
    table.columns = [snake_case(str(name)) for name in table.columns]
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise TableFileError(f"{path}: column(s) {', '.join(missing)} missing; is it INbreast's table? {source}")
    table = table[[name for name in [*columns, *optional] if name in table.columns]]
    return table.fillna("").apply(lambda cells: cells.str.strip().str.replace(r"^(\d+)\.0+$", r"\1", regex=True))


def _read_excel(path: Path) -> pd.DataFrame:
    """The first sheet. Calamine reads .xls and .xlsx alike, and is what pandas is moving to from xlrd."""
    return pd.read_excel(path, sheet_name=0, dtype=str, engine="calamine")


def _read_csv(path: Path) -> pd.DataFrame:
    """A table saved from a spreadsheet: its first line tells the separator."""
    content = read_text(path).content
    first = content.partition("\n")[0]
    separator = ";" if first.count(";") > first.count(",") else ","
    return pd.read_csv(StringIO(content), sep=separator, dtype=str, index_col=False)


def _points(texts: list[str] | None) -> np.ndarray | None:
    """N x 2 numbers of texts such as "(1.5, 2.0)"; None if there is none, or one is no pair of finite numbers."""
    try:
        points = np.array([[float(number) for number in text.strip(" ()").split(",")] for text in texts])
    except (ValueError, TypeError, AttributeError):
        return None
    return points if points.ndim == 2 and points.shape[1] == 2 and np.isfinite(points).all() else None


def _area(points: np.ndarray) -> float:
    """The area inside a contour, by the shoelace formula about its first point."""
    x, y = (points - points[0]).T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
