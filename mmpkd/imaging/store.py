"""The image store: shards of uint8 squares that are mapped into memory, and the masks of their ROI.

Images are read one after the other: measured on chest radiographs, two threads are no faster than one (26 ms an
uncompressed image, 0.57 s a JPEG 2000 one either way), because the decoders hold Python's lock. Shards run in parallel.
"""

import json
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmpkd.cohorts.rejections import Rejections
from mmpkd.cohorts.tables import CohortTables
from mmpkd.config.imaging import Imaging
from mmpkd.files import atomic, write_csv, write_parquet
from mmpkd.imaging.dicom import UnreadableImage, read_image, read_mask
from mmpkd.imaging.geometry import Geometry
from mmpkd.imaging.npy import NpyStream
from mmpkd.logs import progress

SAME_ASPECT = 0.01  # relative difference up to which two sizes are taken for two samplings of one picture
GEOMETRY_COLUMNS = {"image_id": "str"} | {
    name: {int: "int32", float: "float64", bool: "bool"}[kind] for name, kind in Geometry.__annotations__.items()
}
ROI_COLUMNS = {"roi_id": "str", "image_id": "str", "label": "str", "area": "float64"}

log = logging.getLogger(__name__)


class StoreError(ValueError):
    """A shard cannot be made or read; the message says why and what to do."""


def write_shard(tables: CohortTables, imaging: Imaging, shard: int, shards: int, folder: str | Path) -> None:
    """Reads, resizes and stores one of `shards` equal runs of the cohort's images, with their ROI, in `folder`.

    Writes pixels.npy, geometry.parquet, rois.npy, rois.parquet and rejected.csv (see docs/architecture.md). Images
    keep the order of the table. An image that cannot be read is set aside, and its ROI with it; so is an ROI that
    cannot be read, lies outside its image, or was drawn on a picture of another shape. An ROI drawn on another
    sampling of its image (a mask of other size, a box where the table's rows and columns are not the file's) is scaled.

    Raises:
        StoreError: the cohort was read without images, or none of the shard's images can be read.
    """
    if not 0 <= shard < shards:
        raise StoreError(f"shard {shard} is none of 0 to {shards - 1}")
    if (tables.images["path"] == "").any():
        raise StoreError("the cohort was read as tables alone, its images have no path; set its key images to true")
    count = len(tables.images)
    images = tables.images.iloc[shard * count // shards : (shard + 1) * count // shards]
    folder, square = Path(folder), (imaging.size, imaging.size)
    with (
        atomic(folder / "pixels.npy") as pixel_file,
        atomic(folder / "rois.npy") as mask_file,
        NpyStream(pixel_file, square, np.uint8) as pixels,
        NpyStream(mask_file, square, np.uint8) as masks,
    ):
        writer = _ShardWriter(tables, imaging, images, pixels, masks)
        for image in progress(images.itertuples(), f"shard {shard}", total=len(images), unit="images"):
            writer.add(image)
        rejected = writer.rejections.table
        if len(images) and not pixels.count:
            raise StoreError(_nothing_readable(shard, images, rejected))
    write_parquet(_table(writer.geometries, GEOMETRY_COLUMNS), folder / "geometry.parquet")
    write_parquet(_table(writer.rois, ROI_COLUMNS), folder / "rois.parquet")
    write_csv(rejected, folder / "rejected.csv")
    log.info(
        "%d of %d images and %d ROI stored, %d records set aside",
        len(writer.geometries),
        len(images),
        len(writer.rois),
        len(rejected),
    )


class ImageStore:
    """Several shards as one array of images, mapped into memory.

    image_ids: the stored images, N strings. geometry: their geometries, one row an image in the same order (see
    `Geometry.from_row`). size: pixels a side.
    """

    def __init__(self, folders: Sequence[str | Path]) -> None:
        """Opens the shards. Raises StoreError for files that are missing or do not fit together."""
        if not folders:
            raise StoreError("an image store needs at least one shard folder")
        parts = [_open(folder, "geometry.parquet", "pixels.npy") for folder in folders]
        self._shards = [array for _, array in parts]
        self._starts = np.cumsum([0] + [len(array) for array in self._shards])
        self.geometry = pd.concat([table for table, _ in parts], ignore_index=True)
        self.image_ids = self.geometry["image_id"].to_numpy(dtype=str)
        self.size = _common_size(self._shards)
        self._index = pd.Index(self.image_ids)
        if not self._index.is_unique:
            raise StoreError(f"{int(self._index.duplicated().sum())} images stand in the store more than once")

    def __len__(self) -> int:
        return len(self.image_ids)

    def positions(self, image_ids: Sequence[str] | np.ndarray | pd.Series) -> np.ndarray:
        """The positions of images: int64, one an identifier. Raises KeyError with the count of unknown ones."""
        image_ids = np.asarray(image_ids, dtype=str)
        positions = self._index.get_indexer(image_ids).astype(np.int64)
        unknown = int((positions < 0).sum())
        if unknown:
            raise KeyError(f"{unknown} of {len(image_ids)} images are not in the store; see its rejected.csv")
        return positions

    def pixels(self, positions: np.ndarray) -> np.ndarray:
        """The images at `positions`, in that order: uint8 N x size x size. Raises IndexError for a position outside."""
        positions = np.asarray(positions, dtype=np.int64)
        if positions.size and not 0 <= positions.min() <= positions.max() < len(self):
            raise IndexError(f"positions must lie in 0 to {len(self) - 1}")
        pixels = np.empty((len(positions), self.size, self.size), dtype=np.uint8)
        shards = np.searchsorted(self._starts, positions, side="right") - 1
        for shard in np.unique(shards):
            here = shards == shard
            pixels[here] = self._shards[shard][positions[here] - self._starts[shard]]
        return pixels


def roi_masks(folders: Sequence[str | Path]) -> tuple[pd.DataFrame, np.ndarray]:
    """The ROI of several shards: their table (roi_id, image_id, label, area) and masks, uint8 0/1 of M x S x S.

    The masks of a single shard stay mapped. Raises StoreError for files that are missing or do not fit together.
    """
    if not folders:
        raise StoreError("ROI masks need at least one shard folder")
    parts = [_open(folder, "rois.parquet", "rois.npy") for folder in folders]
    masks = [array for _, array in parts]
    _common_size(masks)
    table = pd.concat([table for table, _ in parts], ignore_index=True)
    return table, masks[0] if len(masks) == 1 else np.concatenate(masks)


class _ShardWriter:
    """Adds images with their ROI to the streams, and notes what was stored and what was set aside."""

    def __init__(
        self, tables: CohortTables, imaging: Imaging, images: pd.DataFrame, pixels: NpyStream, masks: NpyStream
    ) -> None:
        rois = tables.rois[tables.rois["image_id"].isin(images["image_id"])]
        self._rois_of = {image_id: list(part.itertuples()) for image_id, part in rois.groupby("image_id")}
        self._root, self._imaging, self._pixels, self._masks = tables.image_root, imaging, pixels, masks
        self.geometries: list[dict[str, Any]] = []
        self.rois: list[dict[str, Any]] = []
        self.rejections = Rejections()

    def add(self, image: Any) -> None:
        rois = self._rois_of.get(image.image_id, [])
        try:
            grey = read_image(self._root / image.path, self._imaging.window)
        except UnreadableImage as error:
            self.rejections.add([image.image_id], str(error))
            self.rejections.add([roi.roi_id for roi in rois], "ROI: its image cannot be read")
            return
        geometry = Geometry.fit(*grey.shape, self._imaging.size, self._imaging.keep_aspect)
        self._pixels.append(geometry.image_to_store(grey))
        self.geometries.append({"image_id": image.image_id, **geometry.to_row()})
        for roi in rois:
            self._add_roi(roi, geometry, image)

    def _add_roi(self, roi: Any, geometry: Geometry, image: Any) -> None:
        try:
            mask = self._mask(roi, geometry, image)
        except (ValueError, TypeError) as error:  # TypeError: a polygon that is JSON, but no list of points
            self.rejections.add([roi.roi_id], f"ROI: {error}")
            return
        if not mask.any():
            self.rejections.add([roi.roi_id], "ROI: lies outside its image")
            return
        self._masks.append(mask.astype(np.uint8))
        names = {"roi_id": roi.roi_id, "image_id": roi.image_id, "label": roi.label}
        self.rois.append({**names, "area": float(mask.mean())})

    def _mask(self, roi: Any, geometry: Geometry, image: Any) -> np.ndarray:
        if roi.kind == "mask":
            mask = read_mask(self._root / roi.mask_path)
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
    reasons = Counter(rejected.loc[rejected["record"].isin(images["image_id"]), "reason"]).most_common(3)
    counts = "; ".join(f"{count} x {reason}" for reason, count in reasons)
    return f"none of the {len(images)} images of shard {shard} can be read: {counts}. Is the cohort's root right?"


def _table(rows: list[dict[str, Any]], columns: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns)).astype(columns)


def _open(folder: str | Path, table_name: str, array_name: str) -> tuple[pd.DataFrame, np.ndarray]:
    folder = Path(folder)
    for name in (table_name, array_name):
        if not (folder / name).is_file():
            raise StoreError(f"{folder / name} is missing; run the rule preprocess")
    table = pd.read_parquet(folder / table_name)
    array = np.load(folder / array_name, mmap_mode="r", allow_pickle=False)
    if len(table) != len(array):
        raise StoreError(f"{folder}: {table_name} has {len(table)} rows, {array_name} {len(array)}; make it anew")
    return table, array


def _common_size(arrays: list[np.ndarray]) -> int:
    shapes = {array.shape[1:] for array in arrays}
    if len(shapes) != 1:
        raise StoreError(f"the shards hold squares of different sizes, {sorted(shapes)}; make them anew")
    return shapes.pop()[0]
