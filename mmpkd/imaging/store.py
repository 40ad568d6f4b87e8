"""The image store: shards of uint8 squares that are mapped into memory, and the masks of their ROI, as they are read.

`mmpkd.imaging.shards` writes them. Reading is apart, so that training and evaluation import no decoder.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mmpkd.cohorts.tables import is_among

NO_BREAST = "no breast was found, the whole image is stored"
NOTE_END = "\n"  # between the notes of an image


class StoreError(ValueError):
    """A shard cannot be made or read; the message says why and what to do."""


class ImageStore:
    """Several shards as one array of images, mapped into memory.

    Attributes:
        image_ids: the stored images, N strings.
        geometry: their geometries, one row per image in the same order (see `Geometry.from_row`).
        size: pixels per side.
    """

    def __init__(self, folders: Sequence[str | Path]) -> None:
        """Opens the shards.

        Raises:
            StoreError: files are missing or do not fit together.
        """
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
        """The positions of images.

        Returns:
            int64, one per identifier.

        Raises:
            KeyError: with the count of unknown ones.
        """
        image_ids = np.asarray(image_ids, dtype=str)
        positions = self._index.get_indexer(image_ids).astype(np.int64)
        unknown = int((positions < 0).sum())
        if unknown:
            raise KeyError(f"{unknown} of {len(image_ids)} images are not in the store; see its rejected.csv")
        return positions

    def pixels(self, positions: np.ndarray) -> np.ndarray:
        """The images at `positions`, in that order.

        Returns:
            uint8, N x size x size.

        Raises:
            IndexError: a position is outside.
        """
        positions = np.asarray(positions, dtype=np.int64)
        if positions.size and not 0 <= positions.min() <= positions.max() < len(self):
            raise IndexError(f"positions must lie in 0 to {len(self) - 1}")
        pixels = np.empty((len(positions), self.size, self.size), dtype=np.uint8)
        shards = np.searchsorted(self._starts, positions, side="right") - 1
        for shard in np.unique(shards):
            here = shards == shard
            pixels[here] = self._shards[shard][positions[here] - self._starts[shard]]
        return pixels


def stored(images: pd.DataFrame, folders: Sequence[str | Path]) -> pd.DataFrame:
    """The rows of a cohort's table of images whose pixels are in the store.

    Args:
        images: the table.
        folders: of the shards.
    """
    held = pd.concat([pd.read_parquet(Path(folder) / "geometry.parquet", columns=["image_id"]) for folder in folders])
    return images[is_among(images["image_id"], held["image_id"].to_numpy(str))]


def noted(folders: Sequence[str | Path]) -> pd.DataFrame:
    """What was noted of the stored images: image_id, note; one row a note, none for most images."""
    parts = [_open(folder, "geometry.parquet", "pixels.npy")[0][["image_id", "notes"]] for folder in folders]
    table = pd.concat(parts, ignore_index=True)
    table = table[table["notes"] != ""]
    return table.assign(note=table["notes"].str.split(NOTE_END)).explode("note")[["image_id", "note"]]


def roi_masks(folders: Sequence[str | Path]) -> tuple[pd.DataFrame, np.ndarray]:
    """The ROI of several shards.

    Returns:
        Their table (roi_id, image_id, label, area), and masks, uint8 0/1 of M x S x S; those of a single shard stay
        mapped.

    Raises:
        StoreError: files are missing or do not fit together.
    """
    if not folders:
        raise StoreError("ROI masks need at least one shard folder")
    parts = [_open(folder, "rois.parquet", "rois.npy") for folder in folders]
    masks = [array for _, array in parts]
    _common_size(masks)
    table = pd.concat([table for table, _ in parts], ignore_index=True)
    return table, masks[0] if len(masks) == 1 else np.concatenate(masks)


def _open(folder: str | Path, table_name: str, array_name: str) -> tuple[pd.DataFrame, np.ndarray]:
    folder = Path(folder)
    for name in (table_name, array_name):
        if not (folder / name).is_file():
            raise StoreError(f"{folder / name} is missing; run the rule preprocess")
    table = pd.read_parquet(folder / table_name)
    array = np.load(folder / array_name, mmap_mode="r", allow_pickle=False)
    if len(table) != len(array):
        raise StoreError(f"{folder}: {table_name} has {len(table)} rows, {array_name} {len(array)}; make it again")
    return table, array


def _common_size(arrays: list[np.ndarray]) -> int:
    shapes = {array.shape[1:] for array in arrays}
    if len(shapes) != 1:
        raise StoreError(f"the shards hold squares of different sizes, {sorted(shapes)}; make them again")
    return shapes.pop()[0]
