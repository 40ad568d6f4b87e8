"""From image files to the shards of the image store (`mmpkd.imaging.store` reads them).

Images are read one after the other: measured on chest radiographs, two threads are no faster than one (26 ms an
uncompressed image, 0.57 s a JPEG 2000 one either way), because the decoders hold Python's lock. Shards run in parallel.
"""

import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pandas as pd

from mmpkd.cohorts.rejections import Rejections, refuse_too_many
from mmpkd.cohorts.tables import CohortTables
from mmpkd.config.imaging import Breast, Imaging
from mmpkd.files import atomic, write_csv, write_parquet
from mmpkd.imaging.geometry import Geometry
from mmpkd.imaging.image_file import UnreadableImage
from mmpkd.imaging.reading import RoiError, read_roi
from mmpkd.imaging.square import read_square
from mmpkd.imaging.store import NOTE_END, StoreError
from mmpkd.logs import progress
from mmpkd.redaction import redact

GEOMETRY_COLUMNS = {"image_id": "str", "notes": "str"} | {
    name: {int: "int32", float: "float64", bool: "bool"}[kind] for name, kind in Geometry.__annotations__.items()
}
STREAMED = ("pixels.npy", "rois.npy")
ROI_COLUMNS = {"roi_id": "str", "image_id": "str", "label": "str", "area": "float64"}

log = logging.getLogger(__name__)


def write_shard(
    tables: CohortTables,
    imaging: Imaging,
    shard: int,
    shards: int,
    folder: str | Path,
    breast: Breast | None = None,
    rejected_limit: float = 1.0,
) -> None:
    """Reads, resizes and stores one of `shards` equal runs of the cohort's images, with their ROI, in `folder`.

    Writes pixels.npy, geometry.parquet, rois.npy, rois.parquet and rejected.csv (see docs/architecture.md); the index,
    geometry.parquet, comes last: where it is, the shard is whole. What a killed run left behind is removed first.

    Images keep the order of the table. An image that cannot be read is set aside, and its ROI with it; so is an ROI
    that cannot be read, lies outside its image, or was drawn on a picture of another shape. An ROI drawn on another
    sampling of its image (a mask of other size, a box where the table's rows and columns are not the file's) is
    scaled. `breast` says what is done to mammograms beside windowing and resizing. Column `notes` of the geometry holds
    what a reader of an image should know: no breast in it, another window, a header that is not believed or that
    states another view or side than the table.

    Args:
        tables: of the cohort.
        imaging: size, window and aspect.
        shard: number of the run, from 0.
        shards: number of runs.
        folder: of the shard.
        breast: what is done to mammograms; None for other images.
        rejected_limit: share of faulty images and ROI that is tolerated.

    Raises:
        StoreError: the cohort was read without images, or none of the shard's images can be read.
        TooManyRejectedError: a larger share of the shard's images and ROI than `rejected_limit` is faulty.
    """
    if not 0 <= shard < shards:
        raise StoreError(f"shard {shard} is none of 0 to {shards - 1}")
    if (tables.images["path"] == "").any():
        raise StoreError("the cohort was read as tables alone, its images have no path; set its key images to true")
    count = len(tables.images)
    images = tables.images.iloc[shard * count // shards : (shard + 1) * count // shards]
    folder, side = Path(folder), (imaging.size, imaging.size)
    _remove_remains(folder)
    reader = _Reader(tables, imaging, breast)
    geometries: list[tuple] = []  # rows of the index are all that grows with the shard
    rois: list[tuple] = []
    notes: Counter[str] = Counter()
    with (
        atomic(folder / STREAMED[0]) as pixel_file,
        atomic(folder / STREAMED[1]) as mask_file,
        NpyStream(pixel_file, side, np.uint8) as pixels,
        NpyStream(mask_file, side, np.uint8) as masks,
    ):
        stored = (reader.read(image) for image in images.itertuples())  # one at a time, when it is asked for
        for image in progress(stored, f"shard {shard}", total=len(images), unit="images"):
            if image is None:
                continue
            pixels.append(image.pixels)
            geometries.append((image.image_id, NOTE_END.join(image.notes), *image.geometry.to_row().values()))
            notes.update(image.notes)
            for roi, mask in image.rois:
                masks.append(mask.astype(np.uint8))
                rois.append((roi.roi_id, roi.image_id, roi.label, float(mask.mean())))
        rejected = reader.rejections.table
        if len(images) and not pixels.count:
            raise StoreError(_nothing_readable(shard, images, rejected))
        if len(images):
            refuse_too_many(rejected["reason"], pixels.count + masks.count, rejected_limit)
    write_parquet(_table(rois, ROI_COLUMNS), folder / "rois.parquet")
    write_csv(rejected, folder / "rejected.csv")
    write_parquet(_table(geometries, GEOMETRY_COLUMNS), folder / "geometry.parquet")
    for note, count in sorted(notes.items()):
        log.info("%d images: %s", count, note)
    counts = len(geometries), len(images), len(rois), len(rejected)
    log.info("%d of %d images and %d ROI stored, %d records set aside", *counts)


@dataclass(frozen=True)
class _Stored:
    """An image and its ROI as the store has them: pixels uint8 and a mask, bool, per ROI, all size x size."""

    image_id: str
    pixels: np.ndarray
    geometry: Geometry
    notes: list[str]
    rois: list[tuple[Any, np.ndarray]]


class _Reader:
    """Reads images and their ROI, and sets aside what cannot be read."""

    def __init__(self, tables: CohortTables, imaging: Imaging, breast: Breast | None) -> None:
        self._rois, self._rows_of = tables.rois, tables.rois.groupby("image_id").indices
        self._root, self._imaging, self._breast = tables.image_root, imaging, breast or Breast()
        self.rejections = Rejections()

    def read(self, image: Any) -> _Stored | None:
        """One image, a row of the table, and its ROI in the same way; None if it cannot be read."""
        rois = list(self._rois.iloc[self._rows_of.get(image.image_id, [])].itertuples())
        try:
            square = read_square(self._root / image.path, self._imaging, self._breast)
        except UnreadableImage as error:
            self.rejections.add([image.image_id], str(error))
            self.rejections.add([roi.roi_id for roi in rois], "ROI: its image cannot be read")
            return None
        differing = square.display.position.differs_from(image.view, image.laterality)
        masks = []
        for roi in rois:
            try:
                mask = read_roi(roi, image, self._root, square.geometry)
            except RoiError as error:
                self.rejections.add([roi.roi_id], f"ROI: {error}")
            else:
                masks.append((roi, mask))
        return _Stored(image.image_id, square.pixels, square.geometry, [*square.notes, *differing], masks)


class NpyStream:
    """A context manager that appends arrays of one shape and type to a .npy file.

    The header says how many they are once the context is left. `count` is their number so far.
    """

    def __init__(self, path: str | Path, shape: tuple[int, ...], dtype: np.dtype | type) -> None:
        self._path, self._shape, self._dtype = Path(path), tuple(shape), np.dtype(dtype)
        self.count = 0

    def __enter__(self) -> "NpyStream":
        self._file = self._path.open("wb")
        self._start = self._write_header()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._file:
            self._file.seek(0)
            end = self._write_header()
        if end != self._start:  # numpy keeps room in the header for a first axis of up to 21 digits
            raise RuntimeError("numpy's header grew; the file's content is damaged")

    def append(self, array: np.ndarray) -> None:
        """Appends one array.

        Raises:
            ValueError: it has another shape or type.
        """
        if array.shape != self._shape or array.dtype != self._dtype:
            raise ValueError(f"want {self._dtype} {self._shape}, got {array.dtype} {array.shape}")
        self._file.write(np.ascontiguousarray(array).tobytes())
        self.count += 1

    def _write_header(self) -> int:
        header = np.lib.format.header_data_from_array_1_0(np.empty((0, *self._shape), dtype=self._dtype))
        np.lib.format.write_array_header_1_0(self._file, {**header, "shape": (self.count, *self._shape)})
        return self._file.tell()


def _nothing_readable(shard: int, images: pd.DataFrame, rejected: pd.DataFrame) -> str:
    reasons = Counter(rejected.loc[rejected["record"].isin(images["image_id"]), "reason"].map(redact)).most_common(3)
    counts = "; ".join(f"{count} x {reason}" for reason, count in reasons)
    return f"none of the {len(images)} images of shard {shard} can be read: {counts}. Is the cohort's root right?"


def _remove_remains(folder: Path) -> None:
    """Removes the index of an earlier run, and the temporary files of one that was killed."""
    (folder / "geometry.parquet").unlink(missing_ok=True)
    for name in STREAMED:
        for path in folder.glob(f".{Path(name).stem}-*{Path(name).suffix}"):
            path.unlink()


def _table(rows: list[tuple], columns: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns)).astype(columns)
