"""How fast an image becomes a square of the store, and how much memory a shard takes.

Run from the repository's root: python -m benchmarks.preprocess [--files 200] [--images 1000 4000 16000]

Speed, on fabricated DICOM files of four kinds: file to 224 x 224 of uint8 with this library (window "percentile"),
against (a) pydicom and `skimage.transform.resize(anti_aliasing=True)`, (b) torchxrayvision's `read_xray_dcm` and
`XRayResizer`, and (c) the floor, pydicom's `dcmread(path).pixel_array` alone. One process and one thread; the time is
the processor's (user and system), so that waiting for other work on the machine does not count; files lie in the page
cache. Each of them reads a batch of DISTINCT files, then the next reads it, in rotating order: a run of one kind is
what a job does, and what the C library's memory allocator adapts to. A row gives medians and the ratios of medians.
Each batch has the same contents, in files of its own that are there only while they are read.

Memory: the largest resident set of a process that stores a shard of so many images (Linux).
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pandas as pd
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, JPEG2000Lossless, generate_uid
from scipy import ndimage
from skimage.transform import resize

from mmpkd.cohorts.tables import IMAGE_COLUMNS, ROI_COLUMNS, CohortTables, empty
from mmpkd.config.imaging import Imaging
from mmpkd.imaging.geometry import Geometry
from mmpkd.imaging.reading import read_display, read_image
from mmpkd.imaging.shards import write_shard

SIZE = 224
DISTINCT = 8
KINDS = {  # rows, columns, bits, encoding
    "3056 x 2544, 12 bit": (3056, 2544, 12, "none"),
    "5000 x 3000, 16 bit": (5000, 3000, 16, "none"),
    "3056 x 2544, 12 bit, JPEG lossless": (3056, 2544, 12, "jpeg"),
    "3056 x 2544, 12 bit, JPEG 2000": (3056, 2544, 12, "jpeg2000"),
}
PACKAGES = ("numpy", "scipy", "pydicom", "python-gdcm", "pylibjpeg-openjpeg", "scikit-image")


def draw(rows: int, columns: int, bits: int, rng: np.random.Generator) -> np.ndarray:
    """A smooth picture with the noise of a radiograph, over most of its range."""
    coarse = rng.random((rows // 200, columns // 200))
    smooth = ndimage.zoom(coarse, (rows / coarse.shape[0], columns / coarse.shape[1]), order=3)[:rows, :columns]
    largest = (1 << bits) - 1
    values = (0.1 + 0.8 * smooth + rng.normal(0, 0.004, smooth.shape)) * largest
    return np.clip(values, 0, largest).astype(np.uint16)


def dicom(pixels: np.ndarray, bits: int, encoding: str, folder: Path) -> bytes:
    """The bytes of a DICOM file."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.Modality, dataset.SamplesPerPixel, dataset.PhotometricInterpretation = "CR", 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8 * pixels.itemsize, bits, bits - 1
    dataset.PixelRepresentation = 0
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW"
    if encoding == "jpeg2000":
        dataset.compress(JPEG2000Lossless)
    content = BytesIO()
    pydicom.dcmwrite(content, dataset, enforce_file_format=True)
    return jpeg_lossless(content.getvalue(), folder) if encoding == "jpeg" else content.getvalue()


def jpeg_lossless(plain: bytes, folder: Path) -> bytes:
    """The same file in process 14, first-order prediction, by GDCM: no encoder of pydicom knows it."""
    import gdcm

    path = folder / "plain.dcm"
    path.write_bytes(plain)
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(path))
    reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    change.Change()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    if not writer.Write():
        raise RuntimeError("GDCM wrote no file")
    return path.read_bytes()


def ours(path: Path) -> np.ndarray:
    display = read_display(path, "percentile")
    return Geometry.fit(*display.shape, SIZE, keep_aspect=False).image_to_store(display)


def with_skimage(path: Path) -> np.ndarray:
    grey = resize(pydicom.dcmread(path).pixel_array, (SIZE, SIZE), anti_aliasing=True)
    low, high = grey.min(), grey.max()
    return np.rint((grey - low) / (high - low) * 255).astype(np.uint8)


def floor(path: Path) -> np.ndarray:
    return pydicom.dcmread(path).pixel_array


def torchxrayvision() -> tuple[Callable[[Path], np.ndarray] | None, str]:
    """The function of (b), or None and the reason."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torch

            import mmpkd.torchvision_schema  # noqa: F401 (lets torchvision be imported beside a CPU torch)

            xrv = import_module("torchxrayvision")
    except ImportError as error:
        return None, f"(b) left out: {error}"
    torch.set_num_threads(1)
    resizer = xrv.datasets.XRayResizer(SIZE)
    return lambda path: resizer(xrv.utils.read_xray_dcm(path)[None]), f"torchxrayvision {version('torchxrayvision')}"


def in_float64(path: Path) -> np.ndarray:
    """What `ours` should be: the same window and filter in float64, by integrals of lines."""
    exact = read_image(path, "percentile").astype(np.float64)
    for axis in (0, 1):
        length = exact.shape[axis]
        integral = np.concatenate(
            [np.zeros((1, exact.shape[1 - axis])), np.cumsum(np.moveaxis(exact, axis, 0), axis=0)]
        )
        edges = np.linspace(0, length, SIZE + 1)
        below = np.minimum(edges.astype(int), length - 1)
        at_edges = integral[below] + (edges - below)[:, None] * (integral[below + 1] - integral[below])
        exact = np.moveaxis(np.diff(at_edges, axis=0) * SIZE / length, 0, axis)
    return np.rint(exact * 255)


def measure(methods: dict[str, Callable], kind: tuple, files: int, folder: Path) -> tuple[dict[str, float], float]:
    """Median milliseconds a method, and the share of pixels of `ours` that are within one grey level of float64."""
    rows, columns, bits, encoding = kind
    rng = np.random.default_rng(0)
    contents = [dicom(draw(rows, columns, bits, rng), bits, encoding, folder) for _ in range(min(files, DISTINCT))]
    times: dict[str, list[float]] = {name: [] for name in methods}
    names = list(methods)
    for first in range(0, files, DISTINCT):
        paths = [folder / f"{number}.dcm" for number in range(first, min(first + DISTINCT, files))]
        for path, content in zip(paths, contents, strict=False):
            path.write_bytes(content)
        turn = first // DISTINCT % len(names)
        for name in names[turn:] + names[:turn]:
            times[name] += [milliseconds(methods[name], path) for path in paths]
        if first == 0:
            within = min((np.abs(ours(path).astype(float) - in_float64(path)) <= 1).mean() for path in paths)
        for path in paths:
            path.unlink()
    return {name: statistics.median(values) for name, values in times.items()}, within


def milliseconds(method: Callable, path: Path) -> float:
    """The processor's time for one file."""
    start = time.process_time()
    method(path)
    return 1000 * (time.process_time() - start)


def speed(files: int) -> None:
    """Prints the table of speeds."""
    other, note = torchxrayvision()
    methods = {"ours": ours, "a": with_skimage, "c": floor} | ({"b": other} if other else {})
    print(f"{files} files a kind; {machine()}; {note}\n")
    print(
        "| files | ours, ms | (a), ms | (b), ms | (c), ms | (a) / ours | (b) / ours | ours / (c) | within one level |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name, kind in KINDS.items():
        with tempfile.TemporaryDirectory() as folder:
            ms, within = measure(methods, kind, files, Path(folder))
        cells = [ms["ours"], ms["a"], ms.get("b"), ms["c"], ms["a"] / ms["ours"], ms.get("b", np.nan) / ms["ours"]]
        shown = " | ".join("-" if cell is None or np.isnan(cell) else f"{cell:.1f}" for cell in cells)
        print(f"| {name} | {shown} | {ms['ours'] / ms['c']:.2f} | {within:.4%} |", flush=True)


def machine() -> str:
    """The processor and the versions of what was measured."""
    info = Path("/proc/cpuinfo")
    models = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    processor = models[0] if models else platform.processor()
    return f"{processor}, Python {platform.python_version()}, " + ", ".join(f"{p} {version(p)}" for p in PACKAGES)


def store_shard(images: int, folder: Path) -> None:
    """Stores one shard of `images` images and prints the process's largest resident set in MiB."""
    names = [f"i{number}" for number in range(images)]
    table = pd.DataFrame(dict.fromkeys(IMAGE_COLUMNS, ""), index=range(images))
    table = table.assign(image_id=names, patient_id=names, study_id=names, split="train", rows=pd.NA, columns=pd.NA)
    table["path"] = [f"{number % DISTINCT}.dcm" for number in range(images)]
    tables = CohortTables(folder, table, labels=pd.DataFrame({"image_id": names}), rois=empty(ROI_COLUMNS))
    write_shard(tables, Imaging(size=SIZE), 0, 1, folder / "out")
    # Not getrusage: its maximum is handed down by the process that started this one.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(int(status["VmHWM"].split()[0]) / 1024)


def memory(counts: list[int]) -> None:
    """Prints the table of memory; each shard is stored by a process of its own."""
    print("\n| images in the shard | store, MiB | largest resident set, MiB |\n|---|---|---|")
    rng = np.random.default_rng(0)
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            for number in range(DISTINCT):
                content = dicom(draw(400, 400, 12, rng), 12, "none", Path(folder))
                (Path(folder) / f"{number}.dcm").write_bytes(content)
            command = [sys.executable, "-m", "benchmarks.preprocess", "--shard", str(count), folder]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        print(f"| {count:,} | {count * SIZE**2 / 2**20:.0f} | {float(done.stdout.split()[-1]):.0f} |", flush=True)


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--files", type=int, default=200, help="files of each kind; 0: memory alone")
    parser.add_argument("--images", type=int, nargs="*", default=[1000, 4000, 16000], help="sizes of a shard")
    parser.add_argument("--shard", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.shard:
        store_shard(int(arguments.shard[0]), Path(arguments.shard[1]))
        return
    if arguments.files:
        speed(arguments.files)
    memory(arguments.images)


if __name__ == "__main__":
    main()
