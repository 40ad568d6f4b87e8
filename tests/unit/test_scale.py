"""The benchmark of growth measures what it says, and the forecast multiplies as its formulas do."""

import json
from pathlib import Path

import pytest

from benchmarks.forecast import disk, forecast
from benchmarks.mimic_tree import write_tree
from benchmarks.scale import STAGES, cohort_of, collect, exponent, in_own_process, run_stage
from mmpkd.config.layers import load_study
from tests import cohorts

ROOT = Path(__file__).parents[2]
FIGURES = {"images": [100, 200], "seconds": [36.0, 72.0], "peak_mb": [300.0, 400.0]}
RATES = {
    "seconds_a_map": 0.01,
    "claims_rows_an_image": 100,
    "stages": {name: FIGURES for name in ("catalogue", "check", "scores", "claims")},
}


def test_the_exponent_of_a_power_is_recovered():
    sizes = [1_000, 10_000, 100_000, 377_110]
    assert exponent(sizes, [3e-6 * size**1.25 for size in sizes]) == pytest.approx(1.25)
    assert exponent(sizes, [2.0 * size for size in sizes]) == pytest.approx(1)


def test_the_adapter_reads_the_fabricated_tree_as_it_was_meant(tmp_path):
    write_tree(720, tmp_path / "tree")
    tables = cohorts.read(cohort_of(tmp_path), ["Atelectasis", "Cardiomegaly"])
    reasons = dict(tables.rejected["reason"].value_counts())
    lateral = sum(number % 3 == 2 and number % 24 != 0 for number in range(720))
    unstated = sum(number % 24 == 0 for number in range(720))  # "CHEST (PA AND LAT)" names a lateral view
    assert sum(reasons.values()) == lateral + unstated and len(reasons) == 2
    assert len(tables.images) == 720 - lateral - unstated and len(tables.rois) == 2
    assert tables.privileged["report"].str.len().between(600, 900).all()
    assert set(tables.images["split"]) == {"train", "validate", "test"}


def test_every_stage_runs_and_reports_time_and_memory(tmp_path):
    write_tree(400, tmp_path / "tree")
    measured = {400: {name: in_own_process(run_stage, name, 400, tmp_path) for name in STAGES}}
    stages = collect(measured)
    assert list(stages) == list(STAGES)
    assert all(stage["seconds"][0] > 0 and 50 < stage["peak_mb"][0] < 2_000 for stage in stages.values())
    assert (tmp_path / "shard0/geometry.parquet").is_file() and (tmp_path / "scores.parquet").is_file()


@pytest.fixture
def counts():
    content = json.loads((ROOT / "benchmarks/paper_counts.json").read_text())
    return {name: cohort["counts"] for name, cohort in content["cohorts"].items()}


def test_the_published_counts_add_up(counts):
    for cohort in counts.values():
        for split in cohort.values():
            assert split["all"] == split["train"] + split["validate"] + split["test"]


def test_a_forecast_multiplies_counts_and_rates(counts):
    study = load_study([ROOT / "studies/paper.yaml"])
    rows = {row.stage: row for row in forecast(study, counts, RATES, {"train": 1000})}
    every = 377_110 + 3_000 + 3_103 + 4_000
    assert rows["cohort"].hours == pytest.approx(0.36 * every / 3600)
    assert rows["cohort"].peak_mb == pytest.approx(300 + 377_010)
    epochs = 3 * 5 * (354_119 * study.training_of("cxr").epochs + 2_212 * study.training_of("mammography").epochs)
    assert rows["train"].units == epochs
    assert rows["train"].hours == pytest.approx(epochs / 1000 / 3600)
    assert rows["attention"].hours is None and rows["attention"].units == 27_645 * 36
    assert rows["evaluate"].units == (1_500 + 3_000 + 645 + 500) * 36 * 2
    assert rows["evaluate"].hours == pytest.approx(rows["evaluate"].units * 0.01 / 3600)
    assert rows["claims"].units == rows["evaluate"].units * 2 * len(study.evaluation.scored) + 27_645 * 36 * 17


def test_between_two_sizes_a_forecast_is_on_their_line(counts):
    study = load_study([ROOT / "studies/paper.yaml"])
    few = {name: {kind: dict.fromkeys(split, 150) for kind, split in cohort.items()} for name, cohort in counts.items()}
    row = forecast(study, few, RATES, {})[0]
    assert row.hours == pytest.approx(4 * 54 / 3600) and row.peak_mb == pytest.approx(350)


def test_the_store_takes_a_byte_a_pixel(counts):
    study = load_study([ROOT / "studies/paper.yaml"])
    stored = 377_110 + 3_000 + 3_103 + 4_000 + 1_500 + 3_000 + 3_568 + 500
    assert disk(study, counts)["image store"] == pytest.approx(stored * 224 * 224, rel=0.01)
