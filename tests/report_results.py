"""The result tree of a study that was never run, as far as the report reads it: scores, tables, stores and maps."""

import base64
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from mmpkd.cohorts.tables import CohortTables
from mmpkd.config.demo import DEMO
from mmpkd.config.evaluation import Evaluation
from mmpkd.files import write_npz, write_parquet, write_text
from mmpkd.report.viewer import Sources, Viewer, viewer
from mmpkd.results import Results
from tests.synthetic import DESIGN, DOMAIN_OF, METHODS, synthetic_scores

ASSUMPTIONS = (Path(__file__).parents[1] / "docs" / "assumptions.md").read_text()
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
REPORT = " FINDINGS: There is a consolidation on the left. The heart is normal.\n \n IMPRESSION: Consolidation."
MARKED = "mimic_cxr"  # the cohort whose images have twins
SEEDS, IMAGES, SIZE, GRID = (0, 1), 12, 32, 4
DOMAINS = {name: domain.model_dump() for name, domain in DEMO.domains.items()}


def make_scores() -> pd.DataFrame:
    return synthetic_scores(np.random.default_rng(0), seeds=len(SEEDS), images=IMAGES)


def write_results(folder: Path, scores: pd.DataFrame) -> Sources:
    """Stores and maps of every scored image: the ROI is a rectangle, the maps are random and differ by arm."""
    rng, results = np.random.default_rng(1), Results(str(folder))
    for cohort in DOMAIN_OF:
        names = names_of(scores, cohort)
        _write_shard(Path(results.shard_folder(cohort, 0)), names, rng)
        _write_tables(results.cohort_folder(cohort), names)
        for domain in DOMAINS:
            for arm in ("baseline", "mmpkd", "shuffled"):
                for seed in SEEDS:
                    maps = {method: rng.random((len(names), GRID, GRID)).astype(np.float16) for method in METHODS}
                    labels = DOMAINS[domain]["labels"]
                    odds = {"labels": np.array(labels), "logits": rng.normal(0, 1, (len(names), len(labels)))}
                    write_npz({"image_id": names, **odds, **maps}, results.attention(domain, arm, seed, cohort))
    _write_shard(Path(results.twin_folder(MARKED)), names_of(scores, MARKED), rng, slice(0, 4))
    shards = {cohort: [results.shard_folder(cohort, 0)] for cohort in DOMAIN_OF}
    return Sources(shards, results, SEEDS)


def names_of(scores: pd.DataFrame, cohort: str) -> np.ndarray:
    """The scored images of a cohort."""
    scored = scores[(scores["cohort"] == cohort) & (scores["label"] == "any")]
    return np.array(list(scored["image_id"].unique()))


def with_markers(scores: pd.DataFrame, images: list[str]) -> pd.DataFrame:
    """The long table of a study in which these images of MARKED bear the marker."""
    scores = scores.astype(dict.fromkeys(scores.columns.difference(["seed", "value"]), "str"))
    names = {"domain": "control", "arm": "uniform", "seed": 0, "cohort": MARKED, "patient_id": "p"}
    rows = pd.DataFrame({"image_id": images, "label": "any", "method": "none", "metric": "marked", "value": 1.0})
    return pd.concat([scores, rows.assign(**names)], ignore_index=True)


def write_figure(results: Results, caption: str) -> None:
    """The figure of claims: a picture of one pixel."""
    files = results.figure("claims")
    write_text(caption, files["caption"])
    Path(files["png"]).write_bytes(PNG)


def make_viewer(scores: pd.DataFrame, sources: Sources, **options) -> Viewer:
    return viewer(scores, Evaluation(methods=list(METHODS)), DESIGN, sources, **options)


def _write_tables(folder: str, names: np.ndarray) -> None:
    images = pd.DataFrame({name: names for name in ("image_id", "patient_id", "study_id")})
    images = images.assign(split="test", path="x", view="", laterality="", rows=SIZE, columns=SIZE)
    privileged = pd.DataFrame({name: names for name in ("record_id", "key", "patient_id")})
    tables = CohortTables(Path("."), images, images[["image_id"]].assign(Consolidation=1.0))
    replace(tables, privileged=privileged.assign(split="test", report=REPORT)).write(folder)


def _write_shard(folder: Path, names: np.ndarray, rng: np.random.Generator, columns: slice = slice(4, 12)) -> None:
    masks = np.zeros((len(names), SIZE, SIZE), dtype=np.uint8)
    masks[:, 8:20, columns] = 1
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "pixels.npy", rng.integers(0, 256, (len(names), SIZE, SIZE), dtype=np.uint8))
    np.save(folder / "rois.npy", masks)
    write_parquet(pd.DataFrame({"image_id": names}), folder / "geometry.parquet")
    rois = pd.DataFrame({"roi_id": names, "image_id": names, "label": "Consolidation", "area": 0.1})
    write_parquet(rois, folder / "rois.parquet")
