"""The image store: what is stored, what is set aside and why, and reading it back."""

import json
import logging
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mmpkd.cohorts.tables import IMAGE_COLUMNS, ROI_COLUMNS, CohortTables, empty
from mmpkd.config.imaging import Breast, Imaging
from mmpkd.imaging import square
from mmpkd.imaging.geometry import Geometry
from mmpkd.imaging.shards import NpyStream, write_shard
from mmpkd.imaging.store import ImageStore, StoreError, roi_masks

IMAGING = Imaging(size=16, window="minmax", keep_aspect=True)


def picture(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def cohort(root, count=5, rois=(), **columns):
    """A cohort of `count` PNG images, 40 x 20, each with noise of its own."""
    names = [f"i{number}" for number in range(count)]
    images = pd.DataFrame(
        {"image_id": names, "patient_id": names, "study_id": names, "path": [f"{n}.png" for n in names]}
    )
    images = images.assign(split="train", view="", laterality="", rows=pd.NA, columns=pd.NA, restricted=False)
    images = images.assign(**columns)
    for number, name in enumerate(names):
        picture(root / f"{name}.png", np.random.default_rng(number).integers(0, 256, (40, 20)).astype(np.uint8))
    table = pd.DataFrame(list(rois)).reindex(columns=list(ROI_COLUMNS)) if rois else empty(ROI_COLUMNS)
    for name, kind in ROI_COLUMNS.items():
        if kind == "str":
            table[name] = table[name].astype(object).fillna("")
    return CohortTables(root, images[list(IMAGE_COLUMNS)], labels=pd.DataFrame({"image_id": names}), rois=table)


def box(roi_id, image_id, x0, y0, x1, y1):
    return {"roi_id": roi_id, "image_id": image_id, "label": "mass", "kind": "box"} | dict(x0=x0, y0=y0, x1=x1, y1=y1)


def other(roi_id, image_id, kind, **columns):
    return {"roi_id": roi_id, "image_id": image_id, "label": "mass", "kind": kind} | columns


def rejected(folder):
    return pd.read_csv(folder / "rejected.csv", dtype=str).set_index("record")["reason"].to_dict()


def test_shards_hold_every_image_once_in_order_and_as_the_geometry_makes_it(tmp_path):
    tables = cohort(tmp_path / "root", 7)
    folders = [tmp_path / f"shard{shard}" for shard in range(3)]
    for shard, folder in enumerate(folders):
        write_shard(tables, IMAGING, shard, 3, folder)
        assert {path.name for path in folder.iterdir()} == {
            "pixels.npy",
            "geometry.parquet",
            "rois.npy",
            "rois.parquet",
            "rejected.csv",
        }
    store = ImageStore(folders)
    assert list(store.image_ids) == list(tables.images["image_id"]) and len(store) == 7 and store.size == 16
    geometry = Geometry.fit(40, 20, 16, True)
    expected = []
    for name in tables.images["path"]:
        grey = np.asarray(Image.open(tables.image_root / name), dtype=np.float32)
        expected.append(geometry.image_to_store((grey - grey.min()) / (grey.max() - grey.min())))
    positions = np.array([6, 0, 3, 3, 1])
    assert np.array_equal(store.pixels(positions), np.stack(expected)[positions])
    assert np.array_equal(store.positions(["i6", "i0", "i3"]), [6, 0, 3])
    assert all(Geometry.from_row(row) == geometry for _, row in store.geometry.iterrows())
    assert np.load(folders[0] / "pixels.npy", mmap_mode="r").dtype == np.uint8


def test_the_same_input_gives_the_same_bytes(tmp_path):
    tables = cohort(tmp_path / "root", rois=[box("r", "i1", 2, 3, 10, 30)])
    for name in ("a", "b"):
        write_shard(tables, IMAGING, 0, 1, tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_unreadable_images_are_set_aside_with_their_rois_and_the_rest_goes_on(tmp_path):
    tables = cohort(
        tmp_path, rois=[box("r1", "i1", 0, 0, 9, 9), box("r2", "i2", 0, 0, 9, 9), box("r3", "i3", 0, 0, 9, 9)]
    )
    (tmp_path / "i1.png").unlink()
    (tmp_path / "i2.png").write_bytes(b"no picture")
    picture(tmp_path / "i4.png", np.full((40, 20), 7, np.uint8))
    write_shard(tables, IMAGING, 0, 1, tmp_path / "out")
    assert list(ImageStore([tmp_path / "out"]).image_ids) == ["i0", "i3"]
    reasons = rejected(tmp_path / "out")
    assert set(reasons) == {"i1", "i2", "i4", "r1", "r2"}
    assert "No such file" in reasons["i1"] and "cannot identify" in reasons["i2"]
    assert reasons["i4"] == "constant image" and reasons["r1"] == "ROI: its image cannot be read"
    table, masks = roi_masks([tmp_path / "out"])
    assert list(table["roi_id"]) == ["r3"] and len(masks) == 1


def run_lengths(mask: np.ndarray) -> str:
    """A mask as COCO writes it, uncompressed: column by column, runs of pixels outside and inside by turns."""
    pixels = np.concatenate([[False], mask.T.ravel()])
    starts = np.flatnonzero(np.diff(pixels)) if mask.any() else np.array([], dtype=int)
    runs = np.diff([0, *starts, mask.size])
    return json.dumps({"size": list(mask.shape), "counts": runs.tolist()})


def test_box_polygon_mask_and_run_lengths_of_one_region_give_one_mask(tmp_path):
    mask = np.zeros((40, 20), dtype=bool)
    mask[10:30, 5:15] = True
    polygon = json.dumps([[5, 10], [15, 10], [15, 30], [5, 30]])
    rois = [
        box("b", "i0", 5, 10, 15, 30),
        other("p", "i0", "polygon", polygon=polygon),
        other("m", "i0", "mask", mask_path="masks/m.png"),
        other("m2", "i0", "mask", mask_path="masks/m2.png"),
        other("r", "i0", "rle", polygon=run_lengths(mask)),
        other("r2", "i0", "rle", polygon=run_lengths(np.kron(mask, np.ones((2, 2))).astype(bool))),
    ]
    tables = cohort(tmp_path, rois=rois)
    picture(tmp_path / "masks/m.png", mask)
    picture(tmp_path / "masks/m2.png", np.kron(mask, np.ones((2, 2))).astype(bool))  # another sampling of the image
    write_shard(tables, IMAGING, 0, 1, tmp_path / "out")
    table, masks = roi_masks([tmp_path / "out"])
    assert list(table["roi_id"]) == ["b", "p", "m", "m2", "r", "r2"] and rejected(tmp_path / "out") == {}
    assert masks.dtype == np.uint8 and set(np.unique(masks)) == {0, 1}
    expected = np.zeros((16, 16), dtype=np.uint8)
    expected[4:12, 6:10] = 1  # 2.5 image pixels a store pixel, 4 columns of padding
    assert all(np.array_equal(mask, expected) for mask in masks)
    assert np.allclose(table["area"], 32 / 256)


def test_unusable_rois_are_set_aside_with_their_reasons_and_others_clipped(tmp_path):
    rois = [
        box("outside", "i0", 20, 0, 30, 10),
        box("reversed", "i0", 9, 0, 3, 10),
        box("missing", "i0", np.nan, 0, 3, 10),
        box("clipped", "i0", -50, -50, 10, 20),
        other("shape", "i0", "mask", mask_path="square.png"),
        other("empty", "i0", "mask", mask_path="empty.png"),
        other("absent", "i0", "mask", mask_path="absent.png"),
        other("line", "i0", "polygon", polygon="[[0, 0], [1, 1]]"),
        other("json", "i0", "polygon", polygon="[[0, 0], [1"),
        other("kind", "i0", "polygon", polygon='{"x": 1}'),
    ]
    tables = cohort(tmp_path, rois=rois)
    picture(tmp_path / "square.png", np.eye(40, dtype=bool))
    picture(tmp_path / "empty.png", np.zeros((40, 20), dtype=bool))
    write_shard(tables, IMAGING, 0, 1, tmp_path / "out")
    reasons = rejected(tmp_path / "out")
    table, masks = roi_masks([tmp_path / "out"])
    assert list(table["roi_id"]) == ["clipped"]
    assert np.array_equal(masks[0].astype(bool), Geometry.fit(40, 20, 16, True).box_to_store_mask(0, 0, 10, 20))
    assert set(reasons) == {roi["roi_id"] for roi in rois} - {"clipped"}
    assert all(reason.startswith("ROI: ") for reason in reasons.values())
    assert "lies outside" in reasons["outside"] and "box is empty" in reasons["reversed"]
    assert reasons["shape"] == "ROI: drawn on 40 x 40 pixels, but its image has 40 x 20"
    assert "constant" in reasons["empty"] and "No such file" in reasons["absent"]


def test_a_box_follows_the_rows_and_columns_that_its_table_states(tmp_path):
    rois = [box("r", "i0", 50, 100, 150, 300), box("s", "i1", 5, 10, 15, 30)]
    tables = cohort(tmp_path, 2, rois=rois, rows=[400, 40], columns=[200, 40])  # i0 was shrunk ten times, i1 is wrong
    write_shard(tables, IMAGING, 0, 1, tmp_path / "out")
    table, masks = roi_masks([tmp_path / "out"])
    assert list(table["roi_id"]) == ["r"]
    assert np.array_equal(masks[0].astype(bool), Geometry.fit(40, 20, 16, True).box_to_store_mask(5, 10, 15, 30))
    assert rejected(tmp_path / "out") == {"s": "ROI: drawn on 40 x 40 pixels, but its image has 40 x 20"}


def test_more_shards_than_images_leave_empty_shards_that_can_be_read(tmp_path):
    tables = cohort(tmp_path, 2, rois=[box("r", "i1", 0, 0, 9, 9)])
    folders = [tmp_path / f"shard{shard}" for shard in range(5)]
    for shard, folder in enumerate(folders):
        write_shard(tables, IMAGING, shard, 5, folder)
    store = ImageStore(folders)
    assert list(store.image_ids) == ["i0", "i1"]
    assert np.array_equal(store.pixels([1, 0])[::-1], store.pixels([0, 1]))
    assert store.pixels([]).shape == (0, 16, 16)
    table, masks = roi_masks(folders)
    assert list(table["image_id"]) == ["i1"] and masks.shape == (1, 16, 16)


def test_a_shard_without_a_readable_image_is_an_error_and_leaves_nothing(tmp_path):
    tables = cohort(tmp_path)
    for path in tmp_path.glob("*.png"):
        path.unlink()
    (tmp_path / "i0.png").write_bytes(b"")
    with pytest.raises(
        StoreError, match=r"none of the 5 images of shard 0 can be read: 4 x No such file.*; 1 x"
    ) as caught:
        write_shard(tables, IMAGING, 0, 1, tmp_path / "out")
    assert "i0" not in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_tables_without_images_and_shards_out_of_range_are_refused(tmp_path):
    tables = cohort(tmp_path, 1)
    with pytest.raises(StoreError, match="none of 0 to 1"):
        write_shard(tables, IMAGING, 2, 2, tmp_path / "out")
    tables.images["path"] = ""
    with pytest.raises(StoreError, match="set its key images to true"):
        write_shard(tables, IMAGING, 0, 1, tmp_path / "out")


def test_the_log_holds_counts_and_no_identifier(tmp_path, caplog):
    tables = cohort(tmp_path, rois=[box("r0", "i0", 30, 0, 40, 10)])
    (tmp_path / "i1.png").unlink()
    with caplog.at_level(logging.INFO):
        write_shard(tables, IMAGING, 0, 1, tmp_path / "out")
    assert "4 of 5 images and 0 ROI stored, 2 records set aside" in caplog.text
    assert "i1" not in caplog.text and "r0" not in caplog.text


def test_unknown_images_and_positions_are_refused(tmp_path):
    write_shard(cohort(tmp_path), IMAGING, 0, 1, tmp_path / "out")
    store = ImageStore([tmp_path / "out"])
    with pytest.raises(KeyError, match="2 of 3 images are not in the store"):
        store.positions(["i0", "x", "y"])
    for wrong in ([5], [-1]):
        with pytest.raises(IndexError, match="0 to 4"):
            store.pixels(wrong)


def test_shards_that_do_not_fit_together_are_refused(tmp_path):
    tables = cohort(tmp_path)
    write_shard(tables, IMAGING, 0, 1, tmp_path / "a")
    write_shard(tables, Imaging(size=32, window="minmax"), 0, 1, tmp_path / "b")
    with pytest.raises(StoreError, match="more than once"):
        ImageStore([tmp_path / "a", tmp_path / "a"])
    with pytest.raises(StoreError, match="different sizes"):
        ImageStore([tmp_path / "a", tmp_path / "b"])
    with pytest.raises(StoreError, match="run the rule preprocess"):
        roi_masks([tmp_path / "c"])
    with pytest.raises(StoreError, match="at least one"):
        ImageStore([])
    np.save(tmp_path / "a" / "pixels.npy", np.zeros((4, 16, 16), np.uint8))
    with pytest.raises(StoreError, match="5 rows, pixels.npy 4"):
        ImageStore([tmp_path / "a"])


@pytest.mark.parametrize("count", [0, 1, 9, 10, 1234])
def test_a_stream_is_the_npy_file_of_the_stacked_arrays(tmp_path, count):
    arrays = np.random.default_rng(0).integers(0, 256, (count, 3, 5)).astype(np.uint8)
    with NpyStream(tmp_path / "a.npy", (3, 5), np.uint8) as stream:
        for array in arrays:
            stream.append(array)
    loaded = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert loaded.dtype == np.uint8 and np.array_equal(loaded, arrays)


def test_a_stream_refuses_other_arrays(tmp_path):
    with NpyStream(tmp_path / "a.npy", (3, 5), np.uint8) as stream:
        for wrong in (np.zeros((5, 3), np.uint8), np.zeros((3, 5))):
            with pytest.raises(ValueError, match="want uint8"):
                stream.append(wrong)


def mammograms(root, sides):
    """A cohort of PNG images, half a disc at the left or right of each, a bright label in the other upper corner."""
    tables = cohort(root, len(sides), rois=[box(f"r{k}", f"i{k}", *_lesion(side)) for k, side in enumerate(sides)])
    y, x = np.mgrid[:400, :300] + 0.5
    for number, side in enumerate(sides):
        image = np.where((x / 200) ** 2 + ((y - 200) / 150) ** 2 < 1, 120 + 20 * np.sin(x / 9) + 0.1 * y, 4)
        image[100:140, 50:90] = 230  # the lesion
        image[20:60, 230:260] = 255  # the label
        picture(root / f"i{number}.png", (image if side == "left" else image[:, ::-1]).astype(np.uint8))
    return tables


def _lesion(side):
    return (50, 100, 90, 140) if side == "left" else (210, 100, 250, 140)


def test_mammograms_are_cropped_turned_and_freed_of_labels_with_their_rois(tmp_path, caplog):
    tables = mammograms(tmp_path, ["left", "right", "left"])
    picture(tmp_path / "i2.png", np.eye(400, dtype=np.uint8)[:, :300] * 255)  # no breast
    imaging = Imaging(size=64, window="minmax")
    breast = Breast(crop=True, margin=0, chest_wall="right", remove_labels=True)
    with caplog.at_level(logging.INFO):
        write_shard(tables, imaging, 0, 1, tmp_path / "out", breast)
    assert "1 images: no breast was found, the whole image is stored" in caplog.text
    store = ImageStore([tmp_path / "out"])
    geometries = [Geometry.from_row(row) for _, row in store.geometry.iterrows()]
    assert [geometry.flip for geometry in geometries] == [True, False, False]
    assert geometries[2] == Geometry.fit(400, 300, 64, True)
    assert all(190 < geometry.crop_x1 - geometry.crop_x0 < 225 for geometry in geometries[:2])
    first, second = store.pixels([0, 1]).astype(int)
    assert np.abs(first - second).max() <= 1  # one is the mirror image of the other
    lesion = roi_masks([tmp_path / "out"])[1][0].astype(bool)
    assert np.array_equal(lesion, roi_masks([tmp_path / "out"])[1][1].astype(bool))
    assert first[lesion].min() > first[~lesion].max() - 30 and first.max() < 250  # the lesion, not the label


def test_without_a_switch_no_breast_is_looked_for_and_nothing_changes(tmp_path, monkeypatch):
    tables, imaging = mammograms(tmp_path, ["left", "right"]), Imaging(size=64, window="minmax")
    monkeypatch.delattr(square, "framing")
    for name, breast in (("none", None), ("off", Breast()), ("margin", Breast(margin=0.3))):
        write_shard(tables, imaging, 0, 1, tmp_path / name, breast)
    for file in ("pixels.npy", "geometry.parquet", "rois.npy"):
        assert len({(tmp_path / name / file).read_bytes() for name in ("none", "off", "margin")}) == 1
    geometries = [Geometry.from_row(row) for _, row in ImageStore([tmp_path / "off"]).geometry.iterrows()]
    assert geometries == [Geometry.fit(400, 300, 64, True)] * 2


def test_labels_are_removed_and_the_breast_stays(tmp_path):
    tables, imaging = mammograms(tmp_path, ["left", "right"]), Imaging(size=64, window="minmax")
    stores = {}
    for remove in (False, True):
        write_shard(tables, imaging, 0, 1, tmp_path / str(remove), Breast(remove_labels=remove))
        stores[remove] = ImageStore([tmp_path / str(remove)]).pixels([0, 1])
    changed = stores[True] != stores[False]
    assert stores[False][changed].max() > 200 and not stores[True][changed].any()  # the label went
    lesions = roi_masks([tmp_path / "True"])[1].astype(bool)
    assert stores[True][lesions].min() > 180 and not (changed & lesions).any()
    assert (stores[True] > 100).mean() > 0.2


def test_a_crop_never_loses_what_is_inside_and_says_what_is_outside(tmp_path):
    tables = mammograms(tmp_path, ["left"])
    tables.rois.loc[1] = tables.rois.loc[0]
    tables.rois.loc[1, ["roi_id", "x0", "y0", "x1", "y1"]] = ["far", 280, 380, 299, 399]
    write_shard(tables, Imaging(size=64, window="minmax"), 0, 1, tmp_path / "out", Breast(crop=True))
    assert list(roi_masks([tmp_path / "out"])[0]["roi_id"]) == ["r0"]
    assert rejected(tmp_path / "out") == {"far": "ROI: lies outside its image, or outside of the crop"}


KILLED = """
import os, signal, sys
import pandas as pd
from pathlib import Path
import mmpkd.imaging.shards as shards
import mmpkd.imaging.square as square
from mmpkd.config.imaging import Breast, Imaging
from tests.unit.test_store import cohort

moment, root, out = sys.argv[1:]
seen = []
if moment == "images":
    read = square.read_display
    def dying(*arguments, **named):
        seen.append(1)
        if len(seen) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return read(*arguments, **named)
    square.read_display = dying
else:
    def dying(*arguments):
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(shards, moment, dying)
shards.write_shard(cohort(Path(root)), Imaging(size=16, window="minmax"), 0, 1, Path(out))
"""


@pytest.mark.parametrize("moment", ["images", "write_parquet", "write_csv"])
@pytest.mark.parametrize("earlier", [False, True])
def test_a_killed_job_leaves_no_store_and_the_next_makes_it_whole(tmp_path, moment, earlier):
    out = tmp_path / "out"
    if earlier:  # a store of other images, of which nothing may be taken for the new one's
        write_shard(cohort(tmp_path / "other", 5), IMAGING, 0, 1, out)
    arguments = [sys.executable, "-c", KILLED, moment, str(tmp_path / "root"), str(out)]
    done = subprocess.run(arguments, cwd=Path(__file__).parents[2], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    with pytest.raises(StoreError, match="geometry.parquet is missing"):
        ImageStore([out])
    tables = cohort(tmp_path / "root")
    for folder in (out, tmp_path / "fresh"):
        write_shard(tables, IMAGING, 0, 1, folder)
    assert {path.name for path in out.iterdir()} == {path.name for path in (tmp_path / "fresh").iterdir()}
    for path in out.iterdir():
        assert path.read_bytes() == (tmp_path / "fresh" / path.name).read_bytes(), path.name


def test_the_log_counts_images_that_are_shown_by_another_window(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        write_shard(cohort(tmp_path), Imaging(size=16, window="dicom"), 0, 1, tmp_path / "out")
    assert "5 images: window dicom: the file has no window" in caplog.text


def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    imaging = Imaging(size=512, window="minmax")
    tables = cohort(tmp_path, 40)
    write_shard(tables, imaging, 0, 40, tmp_path / "warm")
    tracemalloc.start()
    write_shard(tables, imaging, 0, 1, tmp_path / "out")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6  # a few of the 40 squares of float32, 1 MiB each, are alive at a time
