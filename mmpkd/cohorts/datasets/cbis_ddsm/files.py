"""The files of CBIS-DDSM: which belong to which mammogram or lesion, and which of a lesion's files is its mask."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from pydicom import dcmread

from mmpkd.cohorts.headers import FORMATS, UNREADABLE, Header, try_header
from mmpkd.cohorts.listing import Listing, distinct
from mmpkd.files import blame_storage

# The folder of a mammogram; with a number at its end, that of a lesion.
FOLDER = r"(?:^|/)((?:Mass|Calc)-(?:Training|Test)_P_\d+_(?:LEFT|RIGHT)_(?:CC|MLO)(?:_\d+)?)/"
EXPORTED = r"(?:^|/)(jpeg/[^/]+/[^/]+\.(?i:jpe?g))$"  # a file of the JPEG export, from its `jpeg` folder on
PICTURES = (".jpg", ".jpeg")
BETWEEN = 0.01  # share of a mask's pixels that JPEG compression leaves between black and white, at most
NEAR = 0.05  # relative difference of a side, below which a mask's size is still that of its mammogram


class NotFoundError(ValueError):
    """No file, or no single one, is what is looked for; the message is the reason."""


def files_by_folder(listing: Iterable[str]) -> dict[str, list[str]]:
    """The files of a listing by the mammogram's or lesion's folder that they lie in, whatever is above or below it."""
    paths = pd.Series(list(listing), dtype="str")
    folder = paths.str.extract(FOLDER, expand=False)
    return {str(name): sorted(files) for name, files in paths.groupby(folder)}


def exported_files(contents: pd.DataFrame, listing: Listing) -> dict[str, list[str]]:
    """What `files_by_folder` returns, for the JPEG export, which has folders of series alone.

    Args:
        contents: dicom_info.csv: `patientid` is the name that a mammogram's or lesion's folder has in the DICOM
            download, `image_path` the picture, below whatever folder the export was made in.
        listing: the pictures on the disk, `jpeg/<series UID>/<name>.jpg`; others that `contents` names are left out.
    """
    paths = listing.locate(contents["image_path"].str.extract(EXPORTED, expand=False).fillna(""))
    there = paths != ""
    return {str(name): sorted(set(files)) for name, files in paths[there].groupby(contents.loc[there, "patientid"])}


def choose_mammogram(files: list[str], quoted: str) -> str:
    """The full mammogram among the files of its folder.

    It is the only file; else the one that the table quotes, the only one of the quoted series (its file may have
    another name on the disk), or the only one that is called a full mammogram, in that order.

    Args:
        files: paths in the folder of a mammogram.
        quoted: the path that the table gives.

    Raises:
        NotFoundError: if there is none, or if several could be it.
    """
    if not files:
        raise NotFoundError("mammogram is missing")
    series = quoted.rpartition("/")[0] + "/"
    candidates = (
        files,
        [file for file in files if file.endswith(quoted)],
        [file for file in files if series in file],
        [file for file in files if "full mammogram" in file.lower()],
    )
    for alike in candidates:
        if len(alike) == 1:
            return alike[0]
    raise NotFoundError(f"{len(files)} images in the mammogram's folder, and none of them stands out")


def choose_mask(root: Path, files: list[str], mammogram: Header | None) -> str:
    """The mask among a lesion's files, distinguished from the crop by content, never by name.

    A mask takes 8 bits per pixel and has the size of its mammogram. If exactly one file is like that, and no other has
    that size, the headers have decided. Otherwise the pixels do: a mask has two values and the shape of its mammogram;
    of several, the largest is taken.

    Args:
        root: folder that `files` start from.
        files: the lesion's images.
        mammogram: the header of the mammogram; None, in a survey, takes the first file and opens none.

    Raises:
        NotFoundError: if no file is a mask.
    """
    if not files:
        raise NotFoundError("lesion has no image files")
    if mammogram is None:
        return files[0]
    files = distinct(root, files)
    headers = {file: header for file in files if (header := try_header(root / file)) is not None}
    if not headers:
        raise NotFoundError("none of the lesion's files is a readable image")
    as_large = [file for file, header in headers.items() if _near(header, mammogram)]
    if len(as_large) == 1 and headers[as_large[0]].bits == 8:
        return as_large[0]
    masks = [file for file, header in headers.items() if _same_shape(header, mammogram) and _is_binary(root / file)]
    if not masks:
        raise NotFoundError("none of the lesion's files is a mask of the mammogram's shape")
    return max(masks, key=lambda file: headers[file].rows * headers[file].columns)


def _near(header: Header, mammogram: Header) -> bool:
    return abs(header.rows / mammogram.rows - 1) <= NEAR and abs(header.columns / mammogram.columns - 1) <= NEAR


def _same_shape(header: Header, mammogram: Header) -> bool:
    """Whether the sides have the same ratio, as those of a mask that was made at another scale have."""
    return abs((header.rows / mammogram.rows) / (header.columns / mammogram.columns) - 1) <= NEAR


def _is_binary(path: Path) -> bool:
    """Whether an image has exactly two values; in a JPEG file, hardly any but black and white."""
    try:
        if path.suffix.lower() in PICTURES:
            with Image.open(path, formats=FORMATS) as picture:
                return _is_black_and_white(np.asarray(picture.convert("L")))
        pixels = dcmread(path).pixel_array
    except UNREADABLE as error:
        blame_storage(error)
        return False
    low, high = pixels.min(), pixels.max()
    return bool(low < high and np.all((pixels == low) | (pixels == high)))


def _is_black_and_white(pixels: np.ndarray) -> bool:
    black, white = (pixels < 64).mean(), (pixels > 191).mean()
    return bool(black > 0 and white > 0 and black + white >= 1 - BETWEEN)
