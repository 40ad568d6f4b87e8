"""From image files to the shards of the image store (`mmpkd.imaging.store` reads them).

Images are read one after the other: measured on chest radiographs, two threads are no faster than one (26 ms an
uncompressed image, 0.57 s a JPEG 2000 one either way), because the decoders hold Python's lock. Shards run in parallel.
"""

import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmpkd.cohorts.rejections import Rejections, refuse_too_many
from mmpkd.cohorts.rois import RunLengths
from mmpkd.cohorts.tables import CohortTables, is_among
from mmpkd.config.imaging import Breast, Imaging
from mmpkd.files import atomic, write_csv, write_parquet
from mmpkd.imaging.breast import fit
from mmpkd.imaging.dicom import read_display, read_mask
from mmpkd.imaging.display import Display, UnreadableImage
from mmpkd.imaging.geometry import Geometry
from mmpkd.imaging.npy import NpyStream
from mmpkd.imaging.store import NO_BREAST, NOTE_END, StoreError
from mmpkd.logs import progress
from mmpkd.redaction import redact

SAME_ASPECT = 0.01  # relative difference up to which two sizes are taken for two samplings of one picture
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
    folder, square = Path(folder), (imaging.size, imaging.size)
    _remove_remains(folder)
    with (
        atomic(folder / STREAMED[0]) as pixel_file,
        atomic(folder / STREAMED[1]) as mask_file,
        NpyStream(pixel_file, square, np.uint8) as pixels,
        NpyStream(mask_file, square, np.uint8) as masks,
    ):
        writer = _ShardWriter(tables, imaging, breast, images, pixels, masks)
        for image in progress(images.itertuples(), f"shard {shard}", total=len(images), unit="images"):
            writer.add(image)
        rejected = writer.rejections.table
        if len(images) and not pixels.count:
            raise StoreError(_nothing_readable(shard, images, rejected))
        if len(images):
            refuse_too_many(rejected["reason"], pixels.count + masks.count, rejected_limit)
    write_parquet(_table(writer.rois, ROI_COLUMNS), folder / "rois.parquet")
    write_csv(rejected, folder / "rejected.csv")
    write_parquet(_table(writer.geometries, GEOMETRY_COLUMNS), folder / "geometry.parquet")
    for note, count in sorted(writer.notes.items()):
        log.info("%d images: %s", count, note)
    log.info(
        "%d of %d images and %d ROI stored, %d records set aside",
        len(writer.geometries),
        len(images),
        len(writer.rois),
        len(rejected),
    )


class _ShardWriter:
    """Adds images with their ROI to the streams, and notes what was stored and what was set aside."""

    def __init__(
        self,
        tables: CohortTables,
        imaging: Imaging,
        breast: Breast | None,
        images: pd.DataFrame,
        pixels: NpyStream,
        masks: NpyStream,
    ) -> None:
        rois = tables.rois[is_among(tables.rois["image_id"], images["image_id"])]
        self._rois_of = {image_id: list(part.itertuples()) for image_id, part in rois.groupby("image_id")}
        self._root, self._imaging, self._pixels, self._masks = tables.image_root, imaging, pixels, masks
        self._breast = breast
        self.geometries: list[tuple] = []  # rows of the index are all that grows with the shard
        self.rois: list[tuple] = []
        self.notes: Counter[str] = Counter()
        self.rejections = Rejections()

    def add(self, image: Any) -> None:
        rois = self._rois_of.get(image.image_id, [])
        try:
            display = read_display(self._root / image.path, self._imaging.window, self._imaging.view, radiograph=True)
        except UnreadableImage as error:
            self.rejections.add([image.image_id], str(error))
            self.rejections.add([roi.roi_id for roi in rois], "ROI: its image cannot be read")
            return
        geometry, square, notes = self._square(display)
        notes += display.position.differs_from(image.view, image.laterality)
        self.notes.update(notes)
        self._pixels.append(square)
        self.geometries.append((image.image_id, NOTE_END.join(notes), *geometry.to_row().values()))
        for roi in rois:
            self._add_roi(roi, geometry, image)

    def _square(self, display: Display) -> tuple[Geometry, np.ndarray, list[str]]:
        """The geometry, the square and notes of how it was made."""
        geometry, found = fit(display, self._imaging.size, self._imaging.keep_aspect, self._breast)
        square = geometry.image_to_store(display)
        if found is not None and self._breast.remove_labels:
            square[~found.in_store(geometry)] = 0
        notes = list(display.notes)
        if found is None and self._breast is not None and self._breast.active:
            notes.append(NO_BREAST)
        if display.note:
            notes.append(f"window {self._imaging.window}: {display.note}")
        return geometry, square, notes

    def _add_roi(self, roi: Any, geometry: Geometry, image: Any) -> None:
        try:
            mask = self._mask(roi, geometry, image)
        except RecursionError:
            self.rejections.add([roi.roi_id], "ROI: its outline is nested too deeply to be one")
            return
        except (ValueError, TypeError) as error:  # TypeError: a polygon that is JSON, but no list of points
            self.rejections.add([roi.roi_id], f"ROI: {error}")
            return
        if not mask.any():
            self.rejections.add([roi.roi_id], "ROI: lies outside its image, or outside of the crop")
            return
        self._masks.append(mask.astype(np.uint8))
        self.rois.append((roi.roi_id, roi.image_id, roi.label, float(mask.mean())))

    def _mask(self, roi: Any, geometry: Geometry, image: Any) -> np.ndarray:
        if roi.kind == "mask":
            mask = read_mask(self._root / roi.mask_path)
            return _for_size(geometry, *mask.shape).mask_to_store(mask)
        if roi.kind == "rle":
            mask = RunLengths.from_coco(json.loads(roi.polygon)).mask()
            return _for_size(geometry, *mask.shape).mask_to_store(mask)
        if not (pd.isna(image.rows) or pd.isna(image.columns)):
            geometry = _for_size(geometry, image.rows, image.columns)
        if roi.kind == "box":
            return geometry.box_to_store_mask(roi.x0, roi.y0, roi.x1, roi.y1)
        return geometry.polygon_to_store_mask(json.loads(roi.polygon))


def _for_size(geometry: Geometry, rows: int, columns: int) -> Geometry:
    """The geometry for what was drawn on a picture of `rows` x `columns`, the image or another sampling of it."""
    if (rows, columns) == (geometry.rows, geometry.columns):
        return geometry
    if min(rows, columns) < 1 or abs(columns * geometry.rows / (rows * geometry.columns) - 1) >= SAME_ASPECT:
        raise ValueError(f"drawn on {rows} x {columns} pixels, but its image has {geometry.rows} x {geometry.columns}")
    return geometry.resampled(rows, columns)


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
