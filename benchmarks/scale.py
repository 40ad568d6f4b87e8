"""How time and memory grow with the number of images: a catalogue, its check, its shards, scores and claims.

Run from the repository's root: python -m benchmarks.scale [--images 1000 10000 100000 377110] [--rates FILE.json]

Trees in the layout of MIMIC-CXR are fabricated (`benchmarks.mimic_tree`) and removed again. A stage and size is run in
a process of its own; measured are the processor's time (user and system) without imports, and the largest resident set
with them, about 240 MB (Linux). The exponent is the slope of a line through log time over log images, by least squares.

catalogue   the adapter reads tables, folders and reports, and writes the four tables
check       what `mmpkd check` does for a cohort: the same without opening reports, and 200 headers
shard       one of 32 preprocess jobs: reads the four tables, stores every 32nd of the images, of 16 x 16 pixels
scores      one student's maps of so many TEST images with an ROI each, 16 x 16 pixels: the rows of the long table
claims      the long table of 2 arms x 2 seeds on so many TEST images: put together, and one claim tested

`--rates` writes the figures for `benchmarks.forecast`, which multiplies them by the counts of a study.
"""

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pandas as pd

from benchmarks.mimic_tree import IMAGES, PATIENTS, write_tree
from mmpkd.check.cohorts import examine
from mmpkd.cohorts.base import find_data_set
from mmpkd.cohorts.tables import CohortTables, read_tables
from mmpkd.config.cohorts import Cohort
from mmpkd.config.evaluation import RECEIVED, Claim, Evaluation
from mmpkd.config.imaging import Imaging
from mmpkd.config.students import Roles
from mmpkd.design import Design, StudentKey
from mmpkd.evaluation.claims import claims_table
from mmpkd.evaluation.scores import Scoring, concatenate, student_scores
from mmpkd.files import write_json, write_parquet
from mmpkd.imaging.shards import write_shard

SIZES = [1_000, 10_000, 100_000, IMAGES]
SHARDS = 32
LABELS = ["Atelectasis", "Cardiomegaly", "Edema", "Lung Opacity", "Pleural Effusion"]
SIZE, GRID = 16, 4  # pixels per side of an image, and patches
ARMS, SEEDS = ("mmpkd", "baseline"), (0, 1)
AT_FULL_SIZE = 224, 14, 300  # pixels, patches and images of the rate of scoring


@dataclass(frozen=True)
class Stage:
    """What is measured: `run` takes the folder of the tree and of what earlier stages wrote, and the images' number."""

    unit: str
    run: Callable[[Path, int], None]
    needs_tree: bool = False


def cohort_of(folder: Path) -> Cohort:
    """The fabricated cohort below `folder`."""
    return Cohort(adapter="mimic_cxr", root=folder / "tree", shards=SHARDS)


def catalogue(folder: Path, images: int) -> None:
    find_data_set("mimic_cxr")(cohort_of(folder), LABELS).read().write(folder / "cohort")


def check(folder: Path, images: int) -> None:
    facts = examine(cohort_of(folder), "cxr", LABELS, True, SIZE, False)
    if facts.error:
        raise RuntimeError(facts.error)


def shard(folder: Path, images: int) -> None:
    write_shard(read_tables(folder / "cohort"), Imaging(size=SIZE), 0, SHARDS, folder / "shard0")


def scores(folder: Path, images: int) -> None:
    write_parquet(score_student(images, SIZE, GRID), folder / "scores.parquet")


def claims(folder: Path, images: int) -> None:
    student = pd.read_parquet(folder / "scores.parquet")
    parts = [student.assign(arm=arm, seed=seed, value=student["value"] + seed) for arm in ARMS for seed in SEEDS]
    claim = Claim(title="a gain", cells=["cxr@fabricated"])
    domain = {"training": "fabricated", "cohorts": [], "labels": LABELS}
    design = Design.of({"domains": {"cxr": domain}, "arms": {}, "design": Roles().model_dump()})
    table = claims_table(concatenate(parts), {"gain": claim}, Evaluation(), design)
    if table["n_images"].item() != images:
        raise RuntimeError(f"{table['n_images'].item()} of {images} images were tested: {table['reason'].item()}")


STAGES = {
    "catalogue": Stage("image listed", catalogue, needs_tree=True),
    "check": Stage("image listed", check, needs_tree=True),
    "shard": Stage("image of the cohort", shard, needs_tree=True),
    "scores": Stage("test image", scores),
    "claims": Stage("test image", claims),
}


def score_student(images: int, size: int, grid: int) -> pd.DataFrame:
    """The long table of a student on fabricated test images, each with an ROI, by one attention method."""
    rng = np.random.default_rng(0)
    names = np.array([f"image{number}" for number in range(images)], dtype=object)
    table = pd.DataFrame({"image_id": names, "study_id": names, "split": "test", "path": "x", "view": "PA"})
    table["patient_id"] = [f"patient{number * PATIENTS // IMAGES}" for number in range(images)]
    table = table.assign(laterality="", rows=size, columns=size)
    labels = pd.DataFrame(rng.integers(0, 2, (images, len(LABELS))).astype(float), columns=LABELS)
    labels.insert(0, "image_id", names)
    rois = pd.DataFrame({"roi_id": names, "image_id": names, "label": rng.choice(LABELS, images)})
    attention = {
        "image_id": names,
        "labels": np.array(LABELS),
        "logits": rng.normal(size=(images, len(LABELS))).astype(np.float32),
        "rollout": rng.random((images, grid, grid), dtype=np.float32).astype(np.float16),
        RECEIVED: rng.random((images, grid, grid), dtype=np.float32).astype(np.float16),
        "artefact_rate": np.zeros(images, dtype=np.float32),
    }
    return student_scores(
        StudentKey("cxr", "mmpkd", 0),
        attention={"fabricated": attention},
        rois={"fabricated": (rois, _squares(images, size, rng))},
        cohorts={"fabricated": CohortTables(Path("."), table, labels)},
        scoring=Scoring(["rollout"], Evaluation().scored),
        thresholds={"rollout": 0.5},
    )


def _squares(images: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Masks of a square of a quarter of a side, anywhere."""
    masks = np.zeros((images, size, size), dtype=np.uint8)
    for mask, (top, left) in zip(masks, rng.integers(0, size - size // 4, (images, 2)), strict=True):
        mask[top : top + size // 4, left : left + size // 4] = 1
    return masks


def exponent(images: list[int], seconds: list[float]) -> float:
    """The power of the number of images with which the time grows: 1 is linear."""
    return float(np.polyfit(np.log(images), np.log(seconds), 1)[0])


def run_stage(name: str, images: int, folder: Path) -> dict[str, float]:
    """Runs one stage in this process: its processor seconds, and the process's largest resident set in MB."""
    start = time.process_time()
    STAGES[name].run(folder, images)
    seconds = time.process_time() - start
    # Not getrusage: its maximum is handed down by the process that started this one.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {"seconds": seconds, "peak_mb": int(status["VmHWM"].split()[0]) * 1024 / 1e6}


def measure(names: list[str], images: int, parent: Path | None) -> dict[str, dict[str, float]]:
    """Seconds and peak memory of the stages at one size. The tree is removed again."""
    folder = Path(tempfile.mkdtemp(prefix=f"scale-{images}-", dir=parent))
    try:
        if any(STAGES[name].needs_tree for name in names):
            in_own_process(write_tree, images, folder / "tree")
        measured = {}
        for name in names:
            measured[name] = in_own_process(run_stage, name, images, folder)
            print(f"{images:,} images, {name}: {measured[name]}", file=sys.stderr, flush=True)
        return measured
    finally:
        shutil.rmtree(folder)


def in_own_process(function: Callable, *arguments: Any) -> Any:
    """What the function gives in a copy of this process: what it held in memory is gone afterwards."""
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        return pool.submit(function, *arguments).result()


def collect(measured: dict[int, dict[str, dict[str, float]]]) -> dict[str, dict]:
    """For each stage the lists over sizes, and the exponents; the form of `--rates`."""
    images, stages = list(measured), {}
    for name in measured[images[0]]:
        seconds = [measured[count][name]["seconds"] for count in images]
        stages[name] = {
            "unit": STAGES[name].unit,
            "images": images,
            "seconds": seconds,
            "peak_mb": [measured[count][name]["peak_mb"] for count in images],
        }
        if len(images) > 1:
            stages[name] |= {"exponent": exponent(images, seconds), "last": exponent(images[-2:], seconds[-2:])}
    return stages


def scoring_rate() -> float:
    """Processor seconds to score one map of 224 pixels, against the union of an image's ROI and against one label's."""
    size, grid, images = AT_FULL_SIZE
    score_student(10, size, grid)  # imports and first allocations are not what is measured
    start = time.process_time()
    score_student(images, size, grid)
    return (time.process_time() - start) / images


def claims_rows() -> float:
    """Rows of the long table that the stage `claims` puts together, a test image."""
    return len(score_student(10, SIZE, GRID)) / 10 * len(ARMS) * len(SEEDS)


def show(stages: dict[str, dict]) -> None:
    """Prints the table."""
    images = next(iter(stages.values()))["images"]
    print("| stage | " + " | ".join(f"{count:,}: s; MB" for count in images) + " | exponent | of the last two |")
    print("|---" * (len(images) + 3) + "|")
    for name, stage in stages.items():
        cells = (f"{s:.2f}; {mb:.0f}" for s, mb in zip(stage["seconds"], stage["peak_mb"], strict=True))
        exponents = f"{stage.get('exponent', np.nan):.2f} | {stage.get('last', np.nan):.2f}"
        print(f"| {name} | {' | '.join(cells)} | {exponents} |")


def write_rates(stages: dict[str, dict], path: Path) -> None:
    """Puts the figures into the file, in place of those of the same stages."""
    rates = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"stages": {}}
    machine = f"{platform.machine()}, Python {platform.python_version()}, pandas {pd.__version__}"
    rates |= {"machine": machine, "seconds_a_map": scoring_rate(), "claims_rows_an_image": claims_rows()}
    rates["stages"] |= stages
    write_json(rates, path)


def main() -> None:
    """Prints the table, and writes the rates."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, nargs="+", default=SIZES)
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES), help="shard needs catalogue")
    parser.add_argument("--rates", type=Path, help="file to write the figures to; what else is in it stays")
    parser.add_argument("--folder", type=Path, help="where trees are fabricated, by default the temporary folder")
    arguments = parser.parse_args()
    sizes = sorted(arguments.images)
    stages = collect({images: measure(arguments.stages, images, arguments.folder) for images in sizes})
    show(stages)
    if arguments.rates:
        write_rates(stages, arguments.rates)


if __name__ == "__main__":
    main()
